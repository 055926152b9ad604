package manifest

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// FileType says what a line of the files table describes.
type FileType string

const (
	Regular   FileType = "file"
	Directory FileType = "directory"
	Symlink   FileType = "symlink"
	Hardlink  FileType = "hardlink"
)

// Marks of files that were not at rest while they were read.
const (
	MarkChanged = "changed" // modified while it was read, and did not settle
	MarkGrew    = "grew"    // appended to; kept at the size it had
)

// NoOwner is File.UID and File.GID where the system has no such numbers.
const NoOwner = -1

// A File is one line of the files table.
type File struct {
	Path        string // "<source>/<path below its root>"; raw bytes, which need not be UTF-8
	Type        FileType
	Mode        uint32 // permission, setuid, setgid and sticky bits as in stat(2)
	UID, GID    int64  // both NoOwner when unknown
	User, Group string // names, when they were known
	ModTime     Timestamp
	Size        int64    // bytes; regular files only
	SHA256      Hash     // of the content; regular files only
	Links       int64    // names that the file had, when more than one; only such a file may be hardlinked
	Link        string   // target of a symlink; path of the line that a hardlink repeats
	Xattrs      []Xattr  // in any order; read in ascending order of names
	Chunk       int64    // chunk size; 0 when the file has no extents
	Extents     []Extent // content in file order; see also Maps
	Maps        []Map    // instead of Extents, when there are more than MaxInline of them
	Marked      string
	SQLite      *SQLite // facts about a database
}

// Base returns the last component of the path.
func (f *File) Base() string { return f.Path[strings.LastIndexByte(f.Path, '/')+1:] }

// An Xattr is one extended attribute. Its name must be UTF-8.
type Xattr struct {
	Name  string
	Value []byte
}

func (x Xattr) MarshalJSON() ([]byte, error) {
	value := x.Value
	if value == nil {
		value = []byte{} // an empty value, and not null
	}
	return marshalTuple(x.Name, value)
}

func (x *Xattr) UnmarshalJSON(data []byte) error { return unmarshalTuple(data, &x.Name, &x.Value) }

// sortedXattrs returns xattrs ascending by name, as they stand in a line.
func sortedXattrs(xattrs []Xattr) []Xattr {
	byName := func(a, b Xattr) int { return cmp.Compare(a.Name, b.Name) }
	if slices.IsSortedFunc(xattrs, byName) {
		return xattrs
	}
	sorted := slices.Clone(xattrs)
	slices.SortFunc(sorted, byName)
	return sorted
}

func checkXattrs(xattrs []Xattr) error {
	if len(xattrs) > MaxXattrs {
		return invalid("%d xattrs, more than %d", len(xattrs), MaxXattrs)
	}
	size := 0
	for i, x := range xattrs {
		if size += len(x.Name) + len(x.Value); size > MaxXattrBytes {
			return invalid("xattrs of more than %d bytes", MaxXattrBytes)
		}
		switch {
		case x.Name == "" || strings.IndexByte(x.Name, 0) >= 0 || !utf8.ValidString(x.Name):
			return invalid("xattr %.300q: not a name", x.Name)
		case i > 0 && x.Name <= xattrs[i-1].Name:
			return invalid("xattr %.300q is out of order", x.Name)
		}
	}
	return nil
}

// An Extent is Len bytes at Off of the tar stream of an archive. In the zero Archive they are zeros, and
// Off is 0.
type Extent struct {
	Archive  Hash
	Off, Len int64
}

// IsZeros reports whether the extent stands for zero bytes that are not stored.
func (e Extent) IsZeros() bool { return e.Archive.IsZero() }

// A Map is where the extents of MapSpan bytes of a file are listed; ParseMap reads it.
type Map struct {
	Extent
	SHA256 Hash
}
