package manifest

import (
	"crypto/sha256"
	"math"
	"strings"
)

// treeCheck holds the files table to the rules that span lines.
type treeCheck struct {
	head      *Head
	last      string
	dirs      []int                // lengths of the beginnings of last that are directories, shortest first
	linkable  map[pathKey]struct{} // files of this source that hardlinks may name
	source    *Source
	sourceIdx int    // of the source that comes next
	inSource  Source // counted so far
	count     int64  // of the table so far
	bytes     int64
}

// A pathKey stands for a path where many are kept. It is the first half of the path's SHA-256.
type pathKey [16]byte

func keyOf(path string) pathKey {
	sum := sha256.Sum256([]byte(path))
	return pathKey(sum[:])
}

func newTreeCheck(h *Head) *treeCheck { return &treeCheck{head: h} }

func (c *treeCheck) add(f *File) error {
	if c.source == nil || c.source.Name != SourceOf(f.Path) {
		if err := c.enterSource(f); err != nil {
			return err
		}
	}
	if err := c.place(f); err != nil {
		return err
	}
	if f.Size > math.MaxInt64-c.bytes {
		return invalid("%q: sizes sum up to more than fits", f.Path)
	}
	c.last = f.Path
	c.count++
	c.bytes += f.Size
	c.inSource.Files++
	c.inSource.Bytes += f.Size
	if f.SQLite != nil {
		c.inSource.Databases++
	}
	return nil
}

// enterSource ends the source before and begins the next, which must be the one that the head lists next.
func (c *treeCheck) enterSource(f *File) error {
	if err := c.leaveSource(); err != nil {
		return err
	}
	if c.sourceIdx == len(c.head.Sources) || c.head.Sources[c.sourceIdx].Name != SourceOf(f.Path) {
		return invalid("%q: its source is not listed, or is not the next one", f.Path)
	}
	c.source = &c.head.Sources[c.sourceIdx]
	c.sourceIdx++
	c.dirs = c.dirs[:0]
	c.inSource = Source{}
	c.linkable = map[pathKey]struct{}{}
	return nil
}

func (c *treeCheck) leaveSource() error {
	s := c.source
	if s != nil && (c.inSource.Files != s.Files || c.inSource.Bytes != s.Bytes || c.inSource.Databases != s.Databases) {
		return invalid("source %q has %d files, %d bytes, %d databases; the head says %d, %d, %d", s.Name,
			c.inSource.Files, c.inSource.Bytes, c.inSource.Databases, s.Files, s.Bytes, s.Databases)
	}
	return nil
}

// place checks that the path lies where a file may lie.
func (c *treeCheck) place(f *File) error {
	if c.source.Type != DirectorySource {
		if strings.Count(f.Path, "/") != 1 || f.Type != Regular {
			return invalid("%q: a source of type %s is one file", f.Path, c.source.Type)
		}
		return nil
	}
	parent := Parent(f.Path)
	if parent == "" {
		if f.Type != Directory {
			return invalid("%q: the root of a directory is a %s", f.Path, f.Type)
		}
		c.dirs = append(c.dirs, len(f.Path))
		return nil
	}
	for len(c.dirs) > 0 && c.last[:c.dirs[len(c.dirs)-1]] != parent {
		c.dirs = c.dirs[:len(c.dirs)-1]
	}
	if len(c.dirs) == 0 {
		return invalid("%q: its parent is no directory of this snapshot", f.Path)
	}
	switch f.Type {
	case Directory:
		c.dirs = append(c.dirs, len(f.Path))
	case Regular:
		if f.Links > 1 {
			c.linkable[keyOf(f.Path)] = struct{}{}
		}
	case Hardlink:
		if _, ok := c.linkable[keyOf(f.Link)]; !ok {
			return invalid("%q: a hardlink to %q, which is no earlier file of the same source that has links", f.Path, f.Link)
		}
	}
	return nil
}

func (c *treeCheck) end() error {
	if err := c.leaveSource(); err != nil {
		return err
	}
	if c.sourceIdx != len(c.head.Sources) {
		return invalid("source %q has no files", c.head.Sources[c.sourceIdx].Name)
	}
	if c.count != c.head.Files.Count || c.bytes != c.head.Files.Bytes {
		return invalid("files table has %d lines of %d bytes, the head says %d of %d", c.count, c.bytes, c.head.Files.Count, c.head.Files.Bytes)
	}
	return nil
}
