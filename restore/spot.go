package restore

import (
	"io/fs"
	"os"

	"lifeboat/manifest"
)

// A spot is a file, directory or symbolic link whose metadata is set. No method follows a symbolic link to somewhere else.
type spot interface {
	chown(uid, gid int) error // -1 leaves what is there
	chmod(mode fs.FileMode) error
	chtimes(t manifest.Timestamp) error
	open() (*os.File, error) // for its extended attributes; not of a link
}

// named is what has this name in a directory.
type named struct {
	dir  *os.Root
	name string
}

func (n named) chown(uid, gid int) error     { return n.dir.Lchown(n.name, uid, gid) }
func (n named) chmod(mode fs.FileMode) error { return n.dir.Chmod(n.name, mode) }
func (n named) open() (*os.File, error)      { return n.dir.Open(n.name) }

func (n named) chtimes(t manifest.Timestamp) error {
	at := t.Time()
	return n.dir.Chtimes(n.name, at, at)
}
