package manifest

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
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

// A Head is the manifest of one snapshot without its tables.
type Head struct {
	Format       string      `json:"format"`
	App          string      `json:"app"`
	Kind         Kind        `json:"kind"`
	Stamp        Stamp       `json:"stamp"`
	Finished     time.Time   `json:"finished,omitzero"`
	Tool         string      `json:"tool,omitempty"`
	Host         Host        `json:"host,omitzero"`
	Previous     *ID         `json:"previous,omitempty"`
	State        State       `json:"state"`
	Problems     []Problem   `json:"problems,omitempty"` // at most MaxProblems
	ProblemCount int64       `json:"problem_count,omitempty"`
	Omitted      []Omission  `json:"omitted,omitempty"`
	Consistency  Consistency `json:"consistency"`
	Sources      []Source    `json:"sources,omitempty"`
	Files        Table       `json:"files,omitzero"`
	Archives     Table       `json:"archives,omitzero"`
	Roots        []Archive   `json:"roots,omitempty"`
	Stats        Stats       `json:"stats,omitzero"`
}

// MaxProblems is how many problems a head lists.
const MaxProblems = 100

// A Host is the machine that a snapshot was taken on.
type Host struct {
	Name string `json:"name,omitempty"`
	OS   string `json:"os,omitempty"`
	Arch string `json:"arch,omitempty"`
}

// A Problem is something that was not captured as it should be.
type Problem struct {
	Source string `json:"source,omitempty"`
	Path   string `json:"path,omitempty"`
	Kind   string `json:"kind,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// An Omission is a configured source that is not in the snapshot.
type Omission struct {
	Source string `json:"source,omitempty"`
	Why    string `json:"why,omitempty"`
}

// Consistency is what may be relied upon.
type Consistency struct {
	Level  Level `json:"level"`
	SkewUS int64 `json:"skew_us,omitempty"`
}

// A Table lists the pieces of the files table or of the archives table.
type Table struct {
	Count  int64      `json:"count,omitempty"` // lines
	Bytes  int64      `json:"bytes,omitempty"` // sum of their sizes
	Pieces []PieceRef `json:"pieces,omitempty"`
}

// Stats are figures for people. Nothing is decided by them.
type Stats struct {
	Bytes         int64   `json:"bytes,omitempty"`
	NewBytes      int64   `json:"new_bytes,omitempty"`
	StoredBytes   int64   `json:"stored_bytes,omitempty"`
	ArchivesNew   int64   `json:"archives_new,omitempty"`
	Seconds       float64 `json:"seconds,omitempty"` // rounded when it is stored
	PinMS         int64   `json:"pin_ms,omitempty"`
	WALGrowth     int64   `json:"wal_growth,omitempty"`
	WriterBlockMS int64   `json:"writer_block_ms,omitempty"`
}

// Encode writes the head canonically, with no newline behind it. Stores keep it compressed. In texts for people, and in the
// roots of sources, bytes that are not UTF-8 become U+FFFD.
func (h *Head) Encode() ([]byte, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	c := *h
	c.Finished = c.Finished.UTC()
	c.Stats.Seconds = math.Round(c.Stats.Seconds)
	data, err := marshal(&c)
	if err != nil {
		return nil, err
	}
	if data = bytes.TrimSuffix(data, []byte("\n")); len(data) > MaxHead {
		return nil, invalid("head of %d bytes, more than %d", len(data), MaxHead)
	}
	return data, nil
}

// ParseHead reads a head, decompressed. A format that this package does not know is a *FormatError; what
// breaks a rule is ErrInvalid.
func ParseHead(data []byte) (*Head, error) {
	if len(data) > MaxHead {
		return nil, invalid("head of %d bytes, more than %d", len(data), MaxHead)
	}
	if err := CheckFormat(data); err != nil {
		return nil, err
	}
	h := new(Head)
	if err := unmarshal(data, h); err != nil {
		return nil, err
	}
	if _, offset := h.Finished.Zone(); offset != 0 {
		return nil, invalid("finished %s, not in UTC", h.Finished.Format(time.RFC3339))
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	return h, nil
}

// CheckFormat looks at nothing but the format of a head or a marker, because the rules of a later one may be other rules. One that
// this package does not know is a *FormatError.
func CheckFormat(data []byte) error {
	var version struct {
		Format string          `json:"format"`
		Tool   json.RawMessage `json:"tool"` // which may be anything, in a later format
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return invalid("%.300v", err)
	}
	number, ours := strings.CutPrefix(version.Format, "lifeboat/")
	n, err := strconv.ParseUint(number, 10, 16)
	switch {
	case version.Format == Format:
		return nil
	case ours && err == nil && n > 1:
		tool := strings.Trim(string(version.Tool), `"`)
		if len(tool) > 40 || strings.Trim(tool, "0123456789.abcdefghijklmnopqrstuvwxyz+-") != "" {
			tool = "" // it is for people to read
		}
		return &FormatError{version.Format, tool}
	case version.Format == "":
		return invalid("it names no format")
	}
	return invalid("format %.80q", version.Format)
}
