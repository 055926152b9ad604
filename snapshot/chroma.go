package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// The beginning of header.bin of a vector index, little-endian and without gaps: the version of Chroma's own hnswlib, the offset of level 0, and the
// numbers of elements that there is room for and that there are, and the bytes of one.
const (
	indexHeader    = 4 + 4*8
	countOffset    = 4 + 2*8
	elementsOffset = 4 + 3*8
)

// checkIndexes reports the first vector index in a Chroma directory whose files do not belong together: the loader would refuse it, or read
// past its end. One that has no files yet is right: vectors are in the database until there are enough of them.
func checkIndexes(root *os.Root) error {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if err := checkIndex(root, e.Name()); err != nil {
			return fmt.Errorf("vector index %s: %v", e.Name(), err) // the path in err is not that of the problem
		}
	}
	return nil
}

func checkIndex(root *os.Root, dir string) error {
	f, err := root.Open(dir + "/header.bin")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, indexHeader)
	if _, err := io.ReadFull(f, head); err != nil {
		return fmt.Errorf("header.bin is too short: %w", err)
	}
	count, each := binary.LittleEndian.Uint64(head[countOffset:]), binary.LittleEndian.Uint64(head[elementsOffset:])
	if count == 0 {
		return nil
	}
	level0, err := root.Stat(dir + "/data_level0.bin")
	if err != nil {
		return err
	}
	if each == 0 || count > uint64(level0.Size())/each {
		return fmt.Errorf("header.bin tells of %d vectors of %d bytes, and data_level0.bin has %d bytes", count, each, level0.Size())
	}
	return checkPersisted(root, dir)
}

// longestPersist is more than what an application needs to write an index to the disk.
const longestPersist = 5 * time.Minute

// checkPersisted reports an index that is being persisted: its files are written in place, and index_metadata.pickle when all of them are on the disk,
// for which none of them may change for seconds. A copy that was made without times may look like that too, which is forgotten after a while.
func checkPersisted(root *os.Root, dir string) error {
	pickle, err := root.Stat(dir + "/index_metadata.pickle")
	if err != nil {
		return err
	}
	for _, name := range []string{"header.bin", "data_level0.bin", "length.bin", "link_lists.bin"} {
		fi, err := root.Stat(dir + "/" + name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if fi.ModTime().After(pickle.ModTime()) && time.Since(fi.ModTime()) < longestPersist {
			return fmt.Errorf("%s was written after index_metadata.pickle, so the index is being persisted", name)
		}
	}
	return nil
}
