package restore

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"path/filepath"
	"strings"

	"lifeboat/manifest"
)

// maxKept bounds the lines that are kept for finish, in bytes: some 10,000 directories and links. When there are more, the table is read again.
const maxKept = 8 << 20

// keep remembers a line for finish.
func (l *layer) keep(f *manifest.File) {
	if l.keptMemory += fileMemory; l.keptMemory > maxKept {
		l.kept = nil
		return
	}
	l.kept = append(l.kept, f)
}

// others yields the lines that finish needs, in order, perhaps among others: of directories and links that are selected, and of directories above those.
func (l *layer) others(ctx context.Context) iter.Seq2[*manifest.File, error] {
	if l.keptMemory > maxKept || len(l.opts.Only) > 0 {
		return l.plan.lines(ctx)
	}
	return func(yield func(*manifest.File, error) bool) {
		for _, f := range l.kept {
			if !yield(f, nil) {
				return
			}
		}
	}
}

// finish makes links, and gives directories their metadata when everything that lies in them is there.
func (l *layer) finish(ctx context.Context) error {
	var open []*manifest.File // directories that more may come into, outermost first
	leave := func(until string) error {
		for len(open) > 0 {
			d := open[len(open)-1]
			if strings.HasPrefix(until, d.Path+"/") {
				return nil
			}
			open = open[:len(open)-1]
			name, err := local(d.Path)
			if err != nil {
				return err
			}
			if err := l.done(d, name); err != nil {
				return err
			}
		}
		return nil
	}
	for f, err := range l.others(ctx) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if !l.plan.sel.has(f.Path) && !l.isParent(f) {
			continue
		}
		if err := leave(f.Path); err != nil {
			return err
		}
		switch f.Type {
		case manifest.Directory:
			open = append(open, f)
		case manifest.Hardlink:
			err = l.salvage.unlinked(f, l.hardlink(f))
		case manifest.Symlink:
			err = l.symlink(f)
		}
		if err != nil {
			return err
		}
	}
	if err := leave(""); err != nil {
		return err
	}
	return l.openSources()
}

// isParent reports whether a directory was made, though it is not selected, because something in it is.
func (l *layer) isParent(f *manifest.File) bool {
	if f.Type != manifest.Directory || len(l.opts.Only) == 0 {
		return false
	}
	name, err := local(f.Path)
	if err != nil {
		return false
	}
	fi, err := l.root.Lstat(name)
	return err == nil && fi.IsDir()
}

// hardlink makes another name of a file that is there, perhaps under a third one.
func (l *layer) hardlink(f *manifest.File) error {
	first := f.Link
	if heir := l.plan.heirs[first]; heir == f.Path {
		return nil
	} else if heir != "" {
		first = heir
	}
	name, err := local(f.Path)
	if err != nil {
		return err
	}
	target, err := local(first)
	if err != nil {
		return err
	}
	if err := l.root.Link(target, name); err != nil {
		return unwanted(f.Path, err)
	}
	l.opts.Meter.File()
	return nil
}

// symlink makes a symbolic link. Where it leads is not our business: nothing is ever opened through it.
func (l *layer) symlink(f *manifest.File) error {
	name, err := local(f.Path)
	if err != nil {
		return err
	}
	if err := l.root.Symlink(filepath.FromSlash(f.Link), name); err != nil {
		return unwanted(f.Path, err)
	}
	lost, err := l.meta.applyLink(f, l.root, name)
	l.notKept(f, lost)
	l.opts.Meter.File()
	return err
}

// openSources lets others into the directories that were made for sources which are one file: those have no line, and
// so no mode, of their own.
func (l *layer) openSources() error {
	for _, s := range l.snap.Head.Sources {
		if s.Type == manifest.DirectorySource {
			continue
		}
		if err := l.root.Chmod(s.Name, 0o755); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
