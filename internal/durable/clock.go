package durable

import (
	"os"
	"time"
)

func namedClock(dir string) (time.Time, error) {
	f, err := Create(dir)
	if err != nil {
		return time.Time{}, err
	}
	defer f.Discard()
	return modTime(f.File)
}

func modTime(f *os.File) (time.Time, error) {
	fi, err := f.Stat()
	if err != nil {
		return time.Time{}, err
	}
	return fi.ModTime(), nil
}
