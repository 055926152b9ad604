package manifest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
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
	UID, GID    int64  // NoOwner when unknown
	User, Group string // names, when they were known
	ModTime     Timestamp
	Size        int64  // bytes; regular files only
	SHA256      Hash   // of the content; regular files only
	Links       int64  // names that the file had, when more than one; only such a file may be hardlinked
	Link        string // target of a symlink; path of the line that a hardlink repeats
	Xattrs      []Xattr
	Chunk       int64    // chunk size; 0 when the file has no extents
	Extents     []Extent // content in file order; see also Maps
	Maps        []Map    // instead of Extents, when there are more than MaxInline of them
	Marked      string
	SQLite      *SQLite // facts about a database
}

// Base returns the last component of the path.
func (f *File) Base() string { return f.Path[strings.LastIndexByte(f.Path, '/')+1:] }

// An Xattr is one extended attribute.
type Xattr struct {
	Name  string
	Value []byte
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

// SQLite holds what was found out about a database in the transaction that was captured.
type SQLite struct {
	PageSize      int         `json:"page_size"`
	Pages         int64       `json:"pages"`
	JournalMode   string      `json:"journal_mode,omitempty"`
	UserVersion   int64       `json:"user_version,omitempty"`
	ApplicationID int64       `json:"application_id,omitempty"`
	SchemaSHA256  *Hash       `json:"schema_sha256,omitempty"`
	Integrity     string      `json:"integrity,omitempty"` // ok, degraded, unverifiable or corrupt
	Detail        string      `json:"detail,omitempty"`
	ForeignKeys   int64       `json:"foreign_keys,omitempty"` // violations
	Tables        []TableRows `json:"tables,omitempty"`
}

// TableRows is the number of rows of one table, as ["name", rows] in JSON.
type TableRows struct {
	Name string
	Rows int64
}

func (t TableRows) MarshalJSON() ([]byte, error) { return marshalTuple(t.Name, t.Rows) }

func (t *TableRows) UnmarshalJSON(data []byte) error { return unmarshalTuple(data, &t.Name, &t.Rows) }

func (x Xattr) MarshalJSON() ([]byte, error) { return marshalTuple(x.Name, x.Value) }

func (x *Xattr) UnmarshalJSON(data []byte) error { return unmarshalTuple(data, &x.Name, &x.Value) }

// A Timestamp is a time in nanoseconds since 1970, written as seconds with nine decimals.
type Timestamp int64

// TimestampOf returns t as a Timestamp.
func TimestampOf(t time.Time) Timestamp { return Timestamp(t.UnixNano()) }

// Time returns the timestamp as a time.
func (t Timestamp) Time() time.Time { return time.Unix(0, int64(t)) }

func (t Timestamp) MarshalText() ([]byte, error) {
	sign, n := "", uint64(t)
	if t < 0 {
		sign, n = "-", -n
	}
	return fmt.Appendf(nil, "%s%d.%09d", sign, n/1e9, n%1e9), nil
}

func (t *Timestamp) UnmarshalText(text []byte) error {
	whole, frac, ok := strings.Cut(string(text), ".")
	n, err := strconv.ParseInt(whole+frac, 10, 64)
	if !ok || len(frac) != 9 || err != nil {
		return invalid("time %q: want seconds with nine decimals", text)
	}
	if again, _ := Timestamp(n).MarshalText(); string(again) != string(text) {
		return invalid("time %q is not written canonically", text)
	}
	*t = Timestamp(n)
	return nil
}

// fileLine is a File as it stands in a piece.
type fileLine struct {
	Path    string       `json:"path"`
	Raw     []byte       `json:"raw,omitempty"`
	Type    FileType     `json:"type"`
	Mode    octal        `json:"mode,omitempty"`
	UID     *uint32      `json:"uid,omitempty"`
	GID     *uint32      `json:"gid,omitempty"`
	User    string       `json:"user,omitempty"`
	Group   string       `json:"group,omitempty"`
	ModTime *Timestamp   `json:"mtime,omitempty"`
	Size    *int64       `json:"size,omitempty"`
	SHA256  *Hash        `json:"sha256,omitempty"`
	Links   int64        `json:"links,omitempty"`
	Link    string       `json:"link,omitempty"`
	RawLink []byte       `json:"raw_link,omitempty"`
	Xattrs  []Xattr      `json:"xattrs,omitempty"`
	Chunk   int64        `json:"chunk,omitempty"`
	Extents []wireExtent `json:"extents,omitempty"`
	Maps    []wireMap    `json:"maps,omitempty"`
	Marked  string       `json:"marked,omitempty"`
	SQLite  *SQLite      `json:"sqlite,omitempty"`
}

// text returns s as it can stand in JSON, and its bytes when that is not the same.
func text(s string) (display string, raw []byte) {
	if utf8.ValidString(s) {
		return s, nil
	}
	return strings.ToValidUTF8(s, "\uFFFD"), []byte(s)
}

// untext undoes text.
func untext(display string, raw []byte) (string, error) {
	if raw == nil {
		return display, nil
	}
	if again, same := text(string(raw)); same == nil || again != display {
		return "", invalid("raw bytes of %q do not match it", display)
	}
	return string(raw), nil
}

func (f *File) line(archives *archiveList) (*fileLine, error) {
	l := &fileLine{Type: f.Type, Mode: octal(f.Mode), User: f.User, Group: f.Group, Links: f.Links, Xattrs: f.Xattrs,
		Chunk: f.Chunk, Marked: f.Marked, SQLite: f.SQLite}
	l.Path, l.Raw = text(f.Path)
	l.Link, l.RawLink = text(f.Link)
	if f.Type == Hardlink {
		return &fileLine{Path: l.Path, Raw: l.Raw, Type: Hardlink, Link: l.Link, RawLink: l.RawLink}, nil
	}
	l.ModTime = &f.ModTime
	if f.UID != NoOwner && f.GID != NoOwner {
		uid, gid := uint32(f.UID), uint32(f.GID)
		l.UID, l.GID = &uid, &gid
	}
	if f.Type == Regular {
		l.Size, l.SHA256 = &f.Size, &f.SHA256
	}
	l.Extents = archives.wire(f.Extents)
	for _, m := range f.Maps {
		l.Maps = append(l.Maps, wireMap{archives.wireOne(m.Extent), m.SHA256})
	}
	return l, nil
}

func (l *fileLine) file(archives []Hash) (*File, error) {
	f := &File{Type: l.Type, Mode: uint32(l.Mode), UID: NoOwner, GID: NoOwner, User: l.User, Group: l.Group,
		Links: l.Links, Xattrs: l.Xattrs, Chunk: l.Chunk, Marked: l.Marked, SQLite: l.SQLite}
	var err error
	if f.Path, err = untext(l.Path, l.Raw); err != nil {
		return nil, err
	}
	if f.Link, err = untext(l.Link, l.RawLink); err != nil {
		return nil, err
	}
	if l.UID != nil && l.GID != nil {
		f.UID, f.GID = int64(*l.UID), int64(*l.GID)
	}
	if l.ModTime != nil {
		f.ModTime = *l.ModTime
	}
	if l.Size != nil {
		f.Size = *l.Size
	}
	if l.SHA256 != nil {
		f.SHA256 = *l.SHA256
	}
	if f.Extents, err = unwire(l.Extents, archives); err != nil {
		return nil, err
	}
	for _, m := range l.Maps {
		e, err := m.wireExtent.extent(archives)
		if err != nil {
			return nil, err
		}
		f.Maps = append(f.Maps, Map{e, m.sha256})
	}
	return f, f.check(l)
}

// check holds a line to the rules that it can be held to on its own.
func (f *File) check(l *fileLine) error {
	if err := CheckPath(f.Path); err != nil {
		return err
	}
	isFile := f.Type == Regular
	switch {
	case f.Type != Regular && f.Type != Directory && f.Type != Symlink && f.Type != Hardlink:
		return invalid("%q: unknown type %q", f.Path, f.Type)
	case (l.UID == nil) != (l.GID == nil):
		return invalid("%q: only one of uid and gid", f.Path)
	case isFile != (l.Size != nil) || isFile != (l.SHA256 != nil):
		return invalid("%q: size and sha256 belong to files, and to each of them", f.Path)
	case (f.Type == Symlink || f.Type == Hardlink) != (f.Link != ""):
		return invalid("%q: link belongs to symlinks and hardlinks, and to each of them", f.Path)
	case strings.IndexByte(f.Link, 0) >= 0 || len(f.Link) > MaxPath:
		return invalid("%q: link has a NUL byte or is too long", f.Path)
	case !isFile && (f.Extents != nil || f.Maps != nil || f.SQLite != nil):
		return invalid("%q: a %s has no content", f.Path, f.Type)
	case f.Type == Hardlink && (l.ModTime != nil || l.UID != nil || l.Mode != 0 || l.Xattrs != nil):
		return invalid("%q: a hardlink has no metadata of its own", f.Path)
	case f.Extents != nil && f.Maps != nil:
		return invalid("%q: both extents and maps", f.Path)
	case len(f.Extents) > MaxInline:
		return invalid("%q: %d extents, more than %d, and no maps", f.Path, len(f.Extents), MaxInline)
	case l.Links != 0 && (!isFile || l.Links < 2):
		return invalid("%q: links belong to files that have several names", f.Path)
	case f.Size < 0 || f.Chunk < 0:
		return invalid("%q: negative number", f.Path)
	case f.Maps != nil && int64(len(f.Maps)) != (f.Size+MapSpan-1)/MapSpan:
		return invalid("%q: %d maps do not cover %d bytes", f.Path, len(f.Maps), f.Size)
	}
	if f.Maps == nil {
		return checkSum(f.Path, f.Extents, f.Size)
	}
	for _, m := range f.Maps {
		if m.IsZeros() {
			return invalid("%q: a map lies in no archive", f.Path)
		}
	}
	return nil
}

// checkSum reports whether extents add up to size, without overflow.
func checkSum(path string, extents []Extent, size int64) error {
	rest := size
	for _, e := range extents {
		if rest -= e.Len; rest < 0 {
			break
		}
	}
	if rest != 0 {
		return invalid("%q: extents do not add up to %d bytes", path, size)
	}
	return nil
}

// octal is a mode, written "0644".
type octal uint32

func (o octal) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%04o", uint32(o)), nil }

func (o *octal) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 12)
	if err != nil || len(text) != 4 {
		return invalid("mode %q: want four octal digits", text)
	}
	*o = octal(n)
	return nil
}

// marshalTuple writes values as a JSON array.
func marshalTuple(values ...any) ([]byte, error) {
	b, err := marshal(values)
	return b[:max(0, len(b)-1)], err
}

// unmarshalTuple reads a JSON array of exactly these values.
func unmarshalTuple(data []byte, into ...any) error {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	if len(raw) != len(into) {
		return invalid("%d values where %d belong", len(raw), len(into))
	}
	for i, v := range into {
		if err := json.Unmarshal(raw[i], v); err != nil {
			return err
		}
	}
	return nil
}
