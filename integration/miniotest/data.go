package miniotest

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// dataPattern names the temporary directories in which servers keep their objects.
const dataPattern = "lifeboat-minio-*"

// dataDirectory makes a temporary directory for a server, and removes those whose test process was killed:
// each is locked by the process that uses it. The caller holds the lock of the cache directory, so that
// nobody looks between the making and the locking.
func dataDirectory() (dir string, discard func(), err error) {
	old, err := filepath.Glob(filepath.Join(os.TempDir(), dataPattern))
	if err != nil {
		return "", nil, err
	}
	for _, d := range old {
		if l := flock.New(d + "/lock"); lockable(l) {
			l.Close()
			os.RemoveAll(d)
		}
	}
	dir, err = os.MkdirTemp("", dataPattern)
	if err != nil {
		return "", nil, err
	}
	l := flock.New(filepath.Join(dir, "lock"))
	if !lockable(l) {
		os.RemoveAll(dir)
		return "", nil, fmt.Errorf("lock %s", l.Path())
	}
	return dir, func() {
		l.Close()
		os.RemoveAll(dir)
	}, nil
}

func lockable(l *flock.Flock) bool {
	ok, err := l.TryLock()
	return ok && err == nil
}
