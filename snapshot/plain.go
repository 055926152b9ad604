package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"lifeboat/internal/sparse"
	"lifeboat/manifest"
)

const (
	maxAttempts = 3            // how often a file is read that changes while it is read
	respite     = tick * 3 / 2 // what it is given to come to rest between two of them, times how many there were
)

// plain hands on the content of a file that is open. It reads the size that the file has when it begins, and looks
// afterwards whether the file was at rest all the while. If it was not, it is read again, and then taken
//
//   - as it is, if it is at rest now, or if the same content is found as before;
//   - as it is, with the mark "grew", if all that was found before is found again and there is more of it now, as of a log;
//   - as it is, with the mark "changed", if it does not come to rest.
//
// With a log beside it, only a rest counts during which the log was copied.
func (r *reader) plain(rel string, f *os.File, first sight, log *companion) error {
	if log != nil && r.c.kind != manifest.DirectorySource {
		return r.gone(rel, r.alone(rel))
	}
	line := r.line(rel, first.FileInfo, manifest.Regular)
	line.Size = first.Size()
	if err := r.send(item{file: line}); err != nil {
		return err
	}
	var found digests
	var lost error // extended attributes
	var proof *state
	paged := pagedBy(f)   // pages of it refer to each other, so that one that grew is not all that there was
	lastSize := int64(-1) // of the attempt before; -1 if that did not find as much as there was to be
	for attempt := 1; ; attempt++ {
		size := first.Size()
		if log != nil {
			switch err := log.take(r.c.t.scratch); {
			case errors.Is(err, fs.ErrNotExist):
				log = nil // its application ended, and put all of it into the database
			case err != nil:
				return r.failed(rel, err)
			}
		}
		n, err := r.content(f, size)
		if err != nil {
			return r.failed(rel, err)
		}
		attrs := readXattrs(f)
		last, err := look(f.Stat)
		if err != nil {
			return r.failed(rel, err)
		}
		line.Xattrs, lost = attrs.list, attrs.lost
		if n == size && first.sameAs(last) && first.settled() && (log == nil || log.intact()) {
			r.c.seen.rest(first, last)
			if log == nil && lost == nil {
				proof = stateOf(first)
			}
			break
		}
		before := found.all
		if found, err = r.digests(); err != nil {
			return err
		}
		paged = cmp.Or(paged, pagedBy(f))
		again := n == size && lastSize >= 0 && found.prefix == before && log == nil && (paged == "" || last.Size() == size)
		if again && last.Size() > size {
			line.Marked = manifest.MarkGrew
			r.problem(problemGrew, rel, fmt.Errorf("it was appended to; the first %d bytes were taken", size))
		}
		if again && (last.Size() > size || last.Size() == size && lastSize == size) {
			r.c.seen.at(first.at)
			break
		}
		if attempt == maxAttempts {
			line.Marked = manifest.MarkChanged
			r.c.seen.fuzzy = true
			if paged != "" {
				r.problem(problemTorn, rel, fmt.Errorf("it is a database of %s, and changed each time that it was read; a hook can have the application pause", paged))
			} else {
				r.problem(problemChanged, rel, errors.New("it changed each time that it was read"))
			}
			break
		}
		if lastSize = n; n != size {
			lastSize = -1
		}
		if err := r.wait(time.Duration(attempt) * respite); err != nil {
			return err
		}
		if first, err = look(f.Stat); err != nil {
			return r.failed(rel, err)
		}
		if err := r.send(item{again: true, prefix: max(0, lastSize)}); err != nil {
			return err
		}
	}
	if log != nil {
		r.keep(rel, log)
	}
	r.describe(line, first.FileInfo)
	r.keepXattrs(line, xattrs{line.Xattrs, lost})
	r.links.add(first.FileInfo, line)
	return r.send(item{end: true, state: proof})
}

// failed ends a file that could not be read to its end: it has no line, and the snapshot is incomplete.
func (r *reader) failed(rel string, err error) error {
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	if noRoom(err) {
		return err
	}
	if rel == "." {
		r.c.err = err
	}
	r.problem(problemUnreadable, rel, err)
	return r.send(item{drop: true})
}

func (r *reader) wait(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

// content hands on the first size bytes of f, or fewer if there are no more.
func (r *reader) content(f *os.File, size int64) (int64, error) {
	holes := hasHoles(f)
	for off := int64(0); off < size; {
		if holes {
			if n := hole(f, off, size); n > 0 {
				if err := r.send(item{zeros: n}); err != nil {
					return off, err
				}
				off += n
				continue
			}
		}
		b, err := r.block()
		if err != nil {
			return off, err
		}
		n, err := f.ReadAt(b[:min(blockSize, size-off)], off)
		if err != nil && !errors.Is(err, io.EOF) {
			r.recycle(b)
			return off, err
		}
		if n == 0 {
			r.recycle(b)
			return off, nil
		}
		if n < blockSize && off+int64(n) < size {
			size = off + int64(n) // cut short by somebody else
		}
		off += int64(n)
		if err := r.send(item{block: b[:n]}); err != nil {
			return off, err
		}
	}
	return size, nil
}

// hole returns how many bytes from off on, which is a whole number of blocks, need not be read, because nothing was ever written there: a
// whole number of blocks again, or all that is left.
func hole(f *os.File, off, size int64) int64 {
	n := sparse.NextData(f, off, size) - off
	if off+n < size {
		n -= n % blockSize
	}
	return n
}

// digests asks the packer for the digests of what it was given of this file.
func (r *reader) digests() (digests, error) {
	reply := make(chan digests, 1)
	if err := r.send(item{digest: reply}); err != nil {
		return digests{}, err
	}
	select {
	case d := <-reply:
		return d, nil
	case <-r.ctx.Done():
		return digests{}, context.Cause(r.ctx)
	}
}
