package manifest

import (
	"time"
)

// Kind says why a snapshot was taken.
type Kind string

const (
	Backup  Kind = "backup"
	Safety  Kind = "safety"  // of the state that a restore was about to replace
	Adopted Kind = "adopted" // taken over from another tool
)

// State says whether everything that was asked for is in a snapshot.
type State string

const (
	Complete   State = "complete"
	Incomplete State = "incomplete"
)

// Level says how far the parts of a snapshot belong to one instant (docs/format.md, section 4.5).
type Level string

const (
	Transactional Level = "transactional"
	Stable        Level = "stable"
	Fuzzy         Level = "fuzzy"
)

// SourceType says what a source is.
type SourceType string

const (
	SQLiteSource    SourceType = "sqlite"
	FileSource      SourceType = "file"
	DirectorySource SourceType = "directory"
)

// A Head is the manifest of one snapshot without its tables.
type Head struct {
	Format       string      `json:"format"`
	App          string      `json:"app"`
	Kind         Kind        `json:"kind"`
	Stamp        Stamp       `json:"stamp"`
	Finished     time.Time   `json:"finished"`
	Tool         string      `json:"tool"`
	Host         Host        `json:"host"`
	Previous     *ID         `json:"previous,omitempty"`
	State        State       `json:"state"`
	Problems     []Problem   `json:"problems,omitempty"` // at most MaxProblems
	ProblemCount int64       `json:"problem_count,omitempty"`
	Omitted      []Omission  `json:"omitted,omitempty"`
	Consistency  Consistency `json:"consistency"`
	Sources      []Source    `json:"sources"`
	Files        Table       `json:"files"`
	Archives     Table       `json:"archives"`
	Roots        []Archive   `json:"roots"`
	Stats        Stats       `json:"stats"`
}

// MaxProblems is how many problems a head lists.
const MaxProblems = 100

// A Host is the machine that a snapshot was taken on.
type Host struct {
	Name string `json:"name"`
	OS   string `json:"os"`
	Arch string `json:"arch"`
}

// A Problem is something that was not captured as it should be.
type Problem struct {
	Source string `json:"source,omitempty"`
	Path   string `json:"path,omitempty"`
	Kind   string `json:"kind"`
	Detail string `json:"detail,omitempty"`
}

// An Omission is a configured source that is not in the snapshot.
type Omission struct {
	Source string `json:"source"`
	Why    string `json:"why"`
}

// Consistency is what may be relied upon.
type Consistency struct {
	Level  Level `json:"level"`
	SkewUS int64 `json:"skew_us"`
}

// A Source is one thing that was captured.
type Source struct {
	Name        string      `json:"name"`
	Type        SourceType  `json:"type"`
	Root        string      `json:"root"`
	Optional    bool        `json:"optional,omitempty"`
	Consistency Consistency `json:"consistency"`
	Files       int64       `json:"files"`
	Bytes       int64       `json:"bytes"`
	Databases   int64       `json:"databases,omitempty"`
}

// A Table lists the pieces of the files table or of the archives table.
type Table struct {
	Count  int64      `json:"count"` // lines
	Bytes  int64      `json:"bytes"` // sum of their sizes
	Pieces []PieceRef `json:"pieces"`
}

// Stats are figures for people. Nothing is decided by them.
type Stats struct {
	Bytes         int64   `json:"bytes"`
	NewBytes      int64   `json:"new_bytes"`
	StoredBytes   int64   `json:"stored_bytes"`
	ArchivesNew   int64   `json:"archives_new"`
	Seconds       float64 `json:"seconds"`
	PinMS         int64   `json:"pin_ms"`
	WALGrowth     int64   `json:"wal_growth"`
	WriterBlockMS int64   `json:"writer_block_ms"`
}

// Encode writes the head canonically. Stores keep it compressed.
func (h *Head) Encode() ([]byte, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	c := *h
	c.Files.Pieces = append([]PieceRef{}, c.Files.Pieces...)
	c.Archives.Pieces = append([]PieceRef{}, c.Archives.Pieces...)
	c.Roots = append([]Archive{}, c.Roots...)
	c.Sources = append([]Source{}, c.Sources...)
	return marshal(&c)
}

// ParseHead reads a head, decompressed. A format that this package does not know is a *FormatError; what
// breaks a rule is ErrInvalid.
func ParseHead(data []byte) (*Head, error) {
	if len(data) > MaxHead {
		return nil, invalid("head of %d bytes, more than %d", len(data), MaxHead)
	}
	var version struct {
		Format string `json:"format"`
	}
	if err := unmarshal(data, &version); err != nil {
		return nil, err
	}
	if version.Format != Format {
		return nil, &FormatError{version.Format}
	}
	h := new(Head)
	if err := unmarshal(data, h); err != nil {
		return nil, err
	}
	return h, h.check()
}

func (h *Head) check() error {
	if _, err := ParseStamp(string(h.Stamp)); err != nil {
		return invalid("%v", err)
	}
	if err := CheckName(h.App); err != nil {
		return err
	}
	if h.Kind != Backup && h.Kind != Safety && h.Kind != Adopted {
		return invalid("kind %q", h.Kind)
	}
	if h.State != Complete && h.State != Incomplete {
		return invalid("state %q", h.State)
	}
	if len(h.Problems) > MaxProblems {
		return invalid("%d problems, more than %d", len(h.Problems), MaxProblems)
	}
	if err := h.Consistency.check(); err != nil {
		return err
	}
	last := ""
	var files, bytes int64
	for _, s := range h.Sources {
		if err := s.check(); err != nil {
			return err
		}
		if s.Name <= last {
			return invalid("source %q is out of order", s.Name)
		}
		last = s.Name
		if files, bytes = files+s.Files, bytes+s.Bytes; files < 0 || bytes < 0 {
			return invalid("sources sum up to more than fits")
		}
	}
	if files != h.Files.Count || bytes != h.Files.Bytes {
		return invalid("sources have %d files of %d bytes, the table %d of %d", files, bytes, h.Files.Count, h.Files.Bytes)
	}
	for i := range h.Roots {
		if err := h.Roots[i].Check(); err != nil {
			return err
		}
	}
	if err := h.checkPieces(&h.Files, ComparePaths); err != nil {
		return err
	}
	return h.checkPieces(&h.Archives, compareHashes)
}

func (c Consistency) check() error {
	if c.Level != Transactional && c.Level != Stable && c.Level != Fuzzy || c.SkewUS < 0 {
		return invalid("consistency %q with a skew of %d µs", c.Level, c.SkewUS)
	}
	return nil
}

func (s *Source) check() error {
	if err := CheckName(s.Name); err != nil {
		return err
	}
	if s.Type != SQLiteSource && s.Type != FileSource && s.Type != DirectorySource {
		return invalid("source %q: type %q", s.Name, s.Type)
	}
	if s.Type != DirectorySource && s.Files != 1 {
		return invalid("source %q: a %s with %d files", s.Name, s.Type, s.Files)
	}
	if s.Files < 1 || s.Bytes < 0 || s.Databases < 0 {
		return invalid("source %q: %d files of %d bytes", s.Name, s.Files, s.Bytes)
	}
	return s.Consistency.check()
}

// Source returns the source of that name, or nil.
func (h *Head) Source(name string) *Source {
	for i := range h.Sources {
		if h.Sources[i].Name == name {
			return &h.Sources[i]
		}
	}
	return nil
}
