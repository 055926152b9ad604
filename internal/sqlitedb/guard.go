package sqlitedb

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// racy is how long a file must have been left alone before an unchanged time of modification proves that
// it was not changed: longer than the coarsest tick of a file system in use (FAT's two seconds). Git calls
// the same thing racily clean.
const racy = 2 * time.Second

// A stamp is what stat tells of a file that can't stay the same when its content changes.
type stamp struct {
	exists   bool
	dev, ino uint64
	size     int64
	mtime    int64 // nanoseconds since 1970
	ctime    int64 // 0 where the system has none
}

// stampOf looks at a file. One that does not exist has a stamp too.
func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return stamp{}, nil
	}
	if err != nil {
		return stamp{}, err
	}
	return stampOfInfo(info), nil
}

// resting reports whether the file was left alone long enough for its stamp to tell any later change. A
// time in the future tells it too, for a change would set the present.
func (s stamp) resting() bool {
	return !s.exists || time.Since(time.Unix(0, s.mtime)).Abs() > racy
}

// A guard proves that files were left alone: what is read between look and check is one state of them all.
type guard map[string]stamp

// look begins to watch the files. It returns errAgain when one was changed just now.
func look(paths ...string) (guard, error) {
	g := make(guard, len(paths))
	for _, path := range paths {
		s, err := stampOf(path)
		if err != nil {
			return nil, err
		}
		if !s.resting() {
			return nil, errAgain
		}
		g[path] = s
	}
	return g, nil
}

// check returns ErrChanged unless every file is as it was.
func (g guard) check() error {
	for path, before := range g {
		after, err := stampOf(path)
		if err != nil {
			return err
		}
		if after != before {
			return ErrChanged
		}
	}
	return nil
}
