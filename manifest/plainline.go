package manifest

import (
	"bytes"
	"math"
	"unicode/utf8"
)

// plainLine reads a line of the files table that is written as nearly all of them are: keys in the order of the format, text without escapes, and no
// link, extended attributes, maps or facts of a database. It takes a fraction of the time of unmarshal (BenchmarkReadFiles). What it does not take, it leaves to unmarshal,
// also to say what is wrong with it; what it takes, unmarshal would read as the same.
func plainLine(line []byte, l *fileLine) bool {
	if !utf8.Valid(line) {
		return false
	}
	s := scanner{rest: line, ok: true}
	var v struct { // what l points to, in one allocation
		mode     octal
		uid, gid uint32
		mtime    Timestamp
		size     int64
		hash     Hash
	}
	s.literal(`{"path":`)
	l.Path = string(s.text())
	s.literal(`,"type":`)
	l.Type = s.fileType()
	if s.has(`,"mode":`) {
		s.parse(v.mode.UnmarshalText)
		l.Mode = &v.mode
	}
	if s.has(`,"uid":`) {
		v.uid = s.owner()
		l.UID = &v.uid
	}
	if s.has(`,"gid":`) {
		v.gid = s.owner()
		l.GID = &v.gid
	}
	if s.has(`,"user":`) {
		l.User = string(s.text())
	}
	if s.has(`,"group":`) {
		l.Group = string(s.text())
	}
	if s.has(`,"mtime":`) {
		s.parse(v.mtime.UnmarshalText)
		l.ModTime = &v.mtime
	}
	if s.has(`,"size":`) {
		v.size = s.number()
		l.Size = &v.size
	}
	if s.has(`,"sha256":`) {
		s.parse(v.hash.UnmarshalText)
		l.SHA256 = &v.hash
	}
	if s.has(`,"links":`) {
		l.Links = s.number()
	}
	if s.has(`,"chunk":`) {
		l.Chunk = s.number()
	}
	if s.has(`,"extents":[`) {
		for {
			l.Extents = append(l.Extents, s.extent())
			if !s.ok || !s.has(",") {
				break
			}
		}
		s.literal("]")
	}
	s.literal("}")
	return s.ok && (len(s.rest) == 0 || string(s.rest) == "\n")
}

// A scanner reads what it knows, and is not ok once something else came.
type scanner struct {
	rest []byte
	ok   bool
}

// has takes this text if it is next.
func (s *scanner) has(text string) bool {
	if !s.ok || len(s.rest) < len(text) || string(s.rest[:len(text)]) != text {
		return false
	}
	s.rest = s.rest[len(text):]
	return true
}

func (s *scanner) literal(text string) { s.ok = s.has(text) }

// text returns a string that has no escapes.
func (s *scanner) text() []byte {
	if !s.has(`"`) {
		s.ok = false
		return nil
	}
	n := bytes.IndexByte(s.rest, '"')
	if n < 0 {
		s.ok = false
		return nil
	}
	text := s.rest[:n]
	for _, c := range text {
		if c < ' ' || c == '\\' {
			s.ok = false
			return nil
		}
	}
	s.rest = s.rest[n+1:]
	return text
}

func (s *scanner) parse(read func([]byte) error) {
	text := s.text()
	s.ok = s.ok && read(text) == nil
}

func (s *scanner) fileType() FileType {
	switch t := s.text(); string(t) {
	case string(Regular):
		return Regular
	case string(Directory):
		return Directory
	}
	s.ok = false
	return ""
}

// number returns an integer of at most 18 digits, so that it fits.
func (s *scanner) number() (n int64) {
	digits := 0
	for digits < len(s.rest) && '0' <= s.rest[digits] && s.rest[digits] <= '9' {
		if digits == 18 {
			s.ok = false
			return 0
		}
		n = 10*n + int64(s.rest[digits]-'0')
		digits++
	}
	if digits == 0 || digits > 1 && s.rest[0] == '0' {
		s.ok = false
	}
	s.rest = s.rest[digits:]
	return n
}

func (s *scanner) owner() uint32 {
	n := s.number()
	s.ok = s.ok && n <= math.MaxUint32
	return uint32(n)
}

func (s *scanner) extent() (e wireExtent) {
	s.literal("[")
	if s.has("-1") {
		e.archive = -1
	} else {
		e.archive = s.number()
	}
	s.literal(",")
	e.off = s.number()
	s.literal(",")
	e.len = s.number()
	s.literal("]")
	return e
}
