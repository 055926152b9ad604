//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// findDatabases returns the SQLite databases below dir, relative to it.
func findDatabases(dir string) (list []string, err error) {
	return list, eachFile(dir, func(path, rel string) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		head := make([]byte, 16)
		if _, err := io.ReadFull(f, head); err == nil && string(head) == "SQLite format 3\x00" {
			list = append(list, rel)
		}
		return nil
	})
}

// eachFile calls do for each regular file below dir, but for the files that SQLite keeps beside a database.
func eachFile(dir string, do func(path, rel string) error) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || strings.HasSuffix(path, "-wal") || strings.HasSuffix(path, "-shm") {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return do(path, rel)
	})
}

// chooseFiles picks the databases that change and the file that is asked for alone: the smallest one.
func chooseFiles(source string) (mutable []string, small string, err error) {
	smallest := int64(math.MaxInt64)
	err = eachFile(source, func(path, rel string) error {
		switch filepath.Base(rel) {
		case "app.sqlite", "big.sqlite":
			mutable = append(mutable, rel)
		}
		info, err := os.Stat(path)
		if err == nil && info.Size() > 0 && info.Size() < smallest {
			smallest, small = info.Size(), rel
		}
		return err
	})
	return mutable, small, err
}

// copyTree copies a tree with the times of its files.
func copyTree(from, to string) error {
	if out, err := exec.Command("cp", "-Rp", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copy %s: %w\n%s", from, err, out)
	}
	return nil
}

func readAll(dir string) error {
	return eachFile(dir, func(path, _ string) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(io.Discard, f)
		return err
	})
}

// pageOne is what `sqlite3 .backup` writes anew: the header, with its change counter, lies in it.
const pageOne = 4096

// sameTree reports the first file of source that is not, byte for byte, in dir, or that should not be there. Of databases whose first
// page was rewritten, that is left out.
func sameTree(source, dir string, rewritten []string) error {
	count := 0
	err := eachFile(source, func(path, rel string) error {
		count++
		from := int64(0)
		if slices.Contains(rewritten, rel) {
			from = pageOne
		}
		return sameFile(path, filepath.Join(dir, rel), from)
	})
	if err != nil {
		return fmt.Errorf("what was restored is not the source: %w", err)
	}
	return eachFile(dir, func(_, rel string) error {
		if count--; count < 0 {
			return fmt.Errorf("what was restored has more files than the source, such as %s", rel)
		}
		return nil
	})
}

// sameFile compares two files from an offset on.
func sameFile(a, b string, from int64) error {
	fa, err := os.Open(a)
	if err != nil {
		return err
	}
	defer fa.Close()
	fb, err := os.Open(b)
	if err != nil {
		return err
	}
	defer fb.Close()
	ia, err := fa.Stat()
	if err != nil {
		return err
	}
	ib, err := fb.Stat()
	if err != nil {
		return err
	}
	if ia.Size() != ib.Size() {
		return fmt.Errorf("%s has %d bytes, and %s %d", a, ia.Size(), b, ib.Size())
	}
	bufA, bufB := make([]byte, 1<<20), make([]byte, 1<<20)
	for off := from; off < ia.Size(); {
		n, err := fa.ReadAt(bufA, off)
		if err != nil && err != io.EOF {
			return err
		}
		if _, err := fb.ReadAt(bufB[:n], off); err != nil && err != io.EOF {
			return err
		}
		if !bytes.Equal(bufA[:n], bufB[:n]) {
			return fmt.Errorf("%s and %s differ after byte %d", a, b, off)
		}
		off += int64(n)
	}
	return nil
}
