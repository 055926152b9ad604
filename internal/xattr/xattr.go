// Package xattr reads and sets extended attributes of files that are open, and of symbolic links, which are never followed.
// Where the system or the file system has none, there are none to read, and none can be set: errors.ErrUnsupported.
package xattr

// An Attr is one attribute.
type Attr struct {
	Name  string
	Value []byte
}

// Limits on what is read of one file.
type Limits struct {
	Count int // attributes
	Bytes int // of names and values
}
