package swap

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// An Identity tells a file or directory from any other that may come to have its name: a rename keeps it. Where the system has none, it is zero.
type Identity struct {
	Dev  uint64 `json:"dev,omitempty"`
	Ino  uint64 `json:"ino,omitempty"`
	Born int64  `json:"born,omitempty"` // when it was made, in nanoseconds since 1970, where that is known: numbers of inodes are given out again
}

func (id Identity) none() bool { return id.Ino == 0 }

// absent reports whether an error says that there is nothing of that name.
func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }

// exists reports whether there is anything of that name.
func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if absent(err) {
		return false, nil
	}
	return err == nil, err
}

// identifyWorks returns the work directories with their identities.
func (s *Swap) identifyWorks() ([]Entry, error) {
	var works []Entry
	for _, p := range s.rec.Parents {
		e := Entry{Home: s.Work(p)}
		fi, err := os.Lstat(e.Home)
		if err == nil && !fi.IsDir() {
			err = &fs.PathError{Op: "open", Path: e.Home, Err: syscall.ENOTDIR}
		}
		if err != nil {
			return nil, err
		}
		if e.Identity, err = identify(e.Home); err != nil {
			return nil, err
		}
		works = append(works, e)
	}
	return works, nil
}

// is reports whether what is at path is the one that was recorded. What has no identity is never.
func (s *Swap) is(id Identity, path string) (bool, error) {
	if id.none() {
		return false, nil
	}
	now, err := identify(path)
	if absent(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if id.Ino != now.Ino || id.Born != now.Born && id.Born != 0 && now.Born != 0 {
		return false, nil
	}
	return id.Dev == now.Dev || s.renumbered(), nil
}

// renumbered reports whether the file systems have other device numbers than when they were recorded, as they may after a
// restart of the machine: those of btrfs, of overlays and of networks are given out in the order of mounting.
func (s *Swap) renumbered() bool {
	for _, w := range s.rec.Works {
		if now, err := identify(w.Home); err == nil && now.Ino == w.Ino && now.Dev != w.Dev {
			return true
		}
	}
	return false
}
