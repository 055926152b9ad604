package manifest

import (
	"bytes"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
)

// fileLine is a File as it stands in a piece.
type fileLine struct {
	Path    string      `json:"path"`
	Raw     []byte      `json:"raw,omitempty"`
	Type    FileType    `json:"type"`
	Mode    *octal      `json:"mode,omitempty"`
	UID     *uint32     `json:"uid,omitempty"`
	GID     *uint32     `json:"gid,omitempty"`
	User    string      `json:"user,omitempty"`
	Group   string      `json:"group,omitempty"`
	ModTime *Timestamp  `json:"mtime,omitempty"`
	Size    *int64      `json:"size,omitempty"`
	SHA256  *Hash       `json:"sha256,omitempty"`
	Links   int64       `json:"links,omitempty"`
	Link    string      `json:"link,omitempty"`
	RawLink []byte      `json:"raw_link,omitempty"`
	Xattrs  []Xattr     `json:"xattrs,omitempty"`
	Chunk   int64       `json:"chunk,omitempty"`
	Extents wireExtents `json:"extents,omitempty"`
	Maps    wireMaps    `json:"maps,omitempty"`
	Marked  string      `json:"marked,omitempty"`
	SQLite  *SQLite     `json:"sqlite,omitempty"`

	own struct { // what Mode, UID and GID of a line that is written point to
		mode     octal
		uid, gid uint32
	}
}

// maxOwner is the highest number of a user or group; the one above it stands for none.
const maxOwner = math.MaxUint32 - 1

// line makes l a line of f in a piece, and adds the archives it refers to.
func (f *File) line(l *fileLine, archives *archiveList) error {
	if err := CheckPath(f.Path); err != nil {
		return err
	}
	*l = fileLine{Type: f.Type}
	l.Path, l.Raw = text(f.Path)
	l.Link, l.RawLink = text(f.Link)
	if f.Type == Hardlink {
		return f.check(l)
	}
	l.own.mode = octal(f.Mode)
	l.Mode, l.User, l.Group, l.ModTime, l.Links = &l.own.mode, f.User, f.Group, &f.ModTime, f.Links
	l.Xattrs, l.Chunk, l.Marked, l.SQLite = sortedXattrs(f.Xattrs), f.Chunk, f.Marked, f.SQLite
	if f.UID != NoOwner || f.GID != NoOwner {
		if min(f.UID, f.GID) < 0 || max(f.UID, f.GID) > maxOwner {
			return invalid("%q: uid %d and gid %d", f.Path, f.UID, f.GID)
		}
		l.own.uid, l.own.gid = uint32(f.UID), uint32(f.GID)
		l.UID, l.GID = &l.own.uid, &l.own.gid
	}
	if f.Type == Regular {
		l.Size, l.SHA256 = &f.Size, &f.SHA256
	}
	if err := f.check(l); err != nil {
		return err
	}
	l.Extents, l.Maps = archives.wire(f.Extents), archives.wireMaps(f.Maps)
	return nil
}

// append appends what marshal makes of a line. Tables have a line for each file, and nearly all of them the same few keys, so those need no reflection.
func (l *fileLine) append(b []byte) ([]byte, error) {
	if l.Raw != nil || l.RawLink != nil || len(l.Xattrs) > 0 || len(l.Maps) > 0 || l.SQLite != nil {
		line, err := marshal(l)
		return append(b, line...), err
	}
	b = appendString(append(b, `{"path":`...), l.Path)
	b = appendString(append(b, `,"type":`...), string(l.Type))
	if l.Mode != nil {
		b = append(l.Mode.append(append(b, `,"mode":"`...)), '"')
	}
	if l.UID != nil {
		b = strconv.AppendUint(append(b, `,"uid":`...), uint64(*l.UID), 10)
	}
	if l.GID != nil {
		b = strconv.AppendUint(append(b, `,"gid":`...), uint64(*l.GID), 10)
	}
	if l.User != "" {
		b = appendString(append(b, `,"user":`...), l.User)
	}
	if l.Group != "" {
		b = appendString(append(b, `,"group":`...), l.Group)
	}
	if l.ModTime != nil {
		b = append(l.ModTime.append(append(b, `,"mtime":"`...)), '"')
	}
	if l.Size != nil {
		b = strconv.AppendInt(append(b, `,"size":`...), *l.Size, 10)
	}
	if l.SHA256 != nil {
		b = append(hex.AppendEncode(append(b, `,"sha256":"`...), l.SHA256[:]), '"')
	}
	if l.Links != 0 {
		b = strconv.AppendInt(append(b, `,"links":`...), l.Links, 10)
	}
	if l.Link != "" {
		b = appendString(append(b, `,"link":`...), l.Link)
	}
	if l.Chunk != 0 {
		b = strconv.AppendInt(append(b, `,"chunk":`...), l.Chunk, 10)
	}
	if len(l.Extents) > 0 {
		b = l.Extents.append(append(b, `,"extents":`...))
	}
	if l.Marked != "" {
		b = appendString(append(b, `,"marked":`...), l.Marked)
	}
	return append(b, '}', '\n'), nil
}

// appendString appends what marshal makes of a string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := marshal(s) // no string is refused
			return append(b, bytes.TrimSuffix(quoted, []byte{'\n'})...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// file undoes line.
func (l *fileLine) file(archives []Hash) (*File, error) {
	f := &File{Type: l.Type, UID: NoOwner, GID: NoOwner, User: l.User, Group: l.Group,
		Links: l.Links, Xattrs: l.Xattrs, Chunk: l.Chunk, Marked: l.Marked, SQLite: l.SQLite}
	var err error
	if f.Path, err = untext(l.Path, l.Raw); err != nil {
		return nil, err
	}
	if err := CheckPath(f.Path); err != nil {
		return nil, err
	}
	if f.Link, err = untext(l.Link, l.RawLink); err != nil {
		return nil, in(f.Path, err)
	}
	if l.Mode != nil {
		f.Mode = uint32(*l.Mode)
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
	if len(l.Extents) > MaxInline {
		return nil, invalid("%q: %d extents, more than %d, and no maps", f.Path, len(l.Extents), MaxInline)
	}
	if f.Extents, err = unwire(l.Extents, archives); err != nil {
		return nil, in(f.Path, err)
	}
	if f.Maps, err = unwireMaps(l.Maps, archives); err != nil {
		return nil, in(f.Path, err)
	}
	if err := f.check(l); err != nil {
		return nil, err
	}
	return f, nil
}

// check holds a line to the rules that it can be held to on its own. Its path was checked before.
func (f *File) check(l *fileLine) error {
	isFile := f.Type == Regular
	hasContent := len(f.Extents)+len(f.Maps) > 0
	switch {
	case f.Type != Regular && f.Type != Directory && f.Type != Symlink && f.Type != Hardlink:
		return invalid("%q: unknown type %.80q", f.Path, f.Type)
	case f.Type == Hardlink && (l.ModTime != nil || l.UID != nil || l.Mode != nil || l.User != "" || l.Group != "" || len(l.Xattrs) > 0 || l.Marked != ""):
		return invalid("%q: a hardlink has no metadata of its own", f.Path)
	case (l.UID == nil) != (l.GID == nil):
		return invalid("%q: only one of uid and gid", f.Path)
	case l.UID != nil && max(*l.UID, *l.GID) > maxOwner:
		return invalid("%q: uid %d and gid %d", f.Path, *l.UID, *l.GID)
	case l.Mode != nil && *l.Mode > 0o7777:
		return invalid("%q: mode %o", f.Path, *l.Mode)
	case isFile != (l.Size != nil) || isFile != (l.SHA256 != nil):
		return invalid("%q: size and sha256 belong to files, and to each of them", f.Path)
	case (f.Type == Symlink || f.Type == Hardlink) != (f.Link != ""):
		return invalid("%q: link belongs to symlinks and hardlinks, and to each of them", f.Path)
	case strings.IndexByte(f.Link, 0) >= 0 || len(f.Link) > MaxPath:
		return invalid("%q: link has a NUL byte or is too long", f.Path)
	case !isFile && (hasContent || f.SQLite != nil):
		return invalid("%q: a %s has no content", f.Path, f.Type)
	case f.Links != 0 && (!isFile || f.Links < 2):
		return invalid("%q: links belong to files that have several names", f.Path)
	case f.Marked != "" && f.Marked != MarkChanged && f.Marked != MarkGrew:
		return invalid("%q: marked %.80q", f.Path, f.Marked)
	case l.Chunk < 0 || l.Chunk > MaxExtent || (l.Chunk > 0) != hasContent:
		return invalid("%q: chunk %d; it belongs to files that have extents, and to each of them", f.Path, l.Chunk)
	}
	if err := checkXattrs(l.Xattrs); err != nil {
		return in(f.Path, err)
	}
	if f.SQLite != nil {
		if err := f.SQLite.check(); err != nil {
			return in(f.Path, err)
		}
	}
	if isFile {
		return in(f.Path, f.checkContent())
	}
	return nil
}

// checkContent checks that the extents or the maps of a file cover it.
func (f *File) checkContent() error {
	switch {
	case f.Size < 0:
		return invalid("size %d", f.Size)
	case len(f.Maps) > 0 && len(f.Extents) > 0:
		return invalid("both extents and maps")
	case len(f.Extents) > MaxInline:
		return invalid("%d extents, more than %d, and no maps", len(f.Extents), MaxInline)
	case len(f.Maps) == 0:
		return checkExtents(f.Extents, f.Size)
	case f.Size > MapSpan*int64(len(f.Maps)) || f.Size <= MapSpan*int64(len(f.Maps)-1):
		return invalid("%d maps do not cover %d bytes", len(f.Maps), f.Size)
	}
	for i, m := range f.Maps {
		if err := m.Extent.check(MaxPiece); err != nil {
			return err
		}
		if m.IsZeros() {
			return invalid("map %d lies in no archive", i)
		}
	}
	return nil
}
