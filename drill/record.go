package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// A Record is the evidence of one drill (docs/format.md, section 8).
type Record struct {
	Format       string         `json:"format"`
	App          string         `json:"app"`
	Store        string         `json:"store,omitempty"` // id of its marker
	Stamp        manifest.Stamp `json:"stamp"`
	Snapshot     manifest.ID    `json:"snapshot"`
	Result       Result         `json:"result"`
	Mode         Mode           `json:"mode"`
	Tool         string         `json:"tool,omitempty"`
	Host         manifest.Host  `json:"host,omitzero"`
	Began        time.Time      `json:"began"`
	Finished     time.Time      `json:"finished"`
	Previous     []Link         `json:"previous,omitempty"` // at most maxPrevious
	Files        int64          `json:"files,omitempty"`
	Bytes        int64          `json:"bytes,omitempty"`
	Fetched      int64          `json:"fetched,omitempty"`
	Phases       []Phase        `json:"phases,omitempty"`
	Checks       Checks         `json:"checks,omitzero"`
	Failures     []Finding      `json:"failures,omitempty"` // at most maxFindings
	FailureCount int64          `json:"failure_count,omitempty"`
	NotChecked   []Finding      `json:"not_checked,omitempty"` // likewise
}

// Result is what came of a drill.
type Result string

const (
	OK     Result = "ok"
	Failed Result = "failed"
)

// Mode is how much a drill does.
type Mode string

const (
	Restored Mode = "restore" // everything is laid down on a disk, and checked there
	Streamed Mode = "stream"  // everything is read and hashed, and nothing laid down
)

// A Link names a record that was there before.
type Link struct {
	Name   string        `json:"name"` // below drills/
	SHA256 manifest.Hash `json:"sha256"`
}

// A Phase is a part of the time that a drill took. Phases follow one another.
type Phase struct {
	Name  string `json:"name"`
	MS    int64  `json:"ms,omitempty"`
	Bytes int64  `json:"bytes,omitempty"` // fetched, or laid down, or looked at
}

// Checks counts what was compared with what it should be, and was right.
type Checks struct {
	Files      int64 `json:"files,omitempty"` // by their SHA-256
	Databases  int64 `json:"databases,omitempty"`
	Tables     int64 `json:"tables,omitempty"`
	Rows       int64 `json:"rows,omitempty"` // in these tables
	Assertions int64 `json:"assertions,omitempty"`
}

// A Finding is something that did not pass, or was not looked at.
type Finding struct {
	Kind   string `json:"kind"`
	Where  string `json:"where,omitempty"` // a path in the snapshot, or the name of an assertion
	Detail string `json:"detail,omitempty"`
}

const (
	maxRecord   = 1 << 20 // bytes
	maxPrevious = 16
	maxFindings = 100
	maxDetail   = 2000 // bytes
)

// Encode returns the record as it is stored, and its name.
func (r *Record) Encode() (layout.Drill, []byte, error) {
	r.Format = manifest.Format
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return layout.Drill{}, nil, err
	}
	if b.Len() > maxRecord {
		return layout.Drill{}, nil, fmt.Errorf("the record of a drill has %d bytes, more than %d", b.Len(), maxRecord)
	}
	return layout.Drill{At: r.Stamp, Snapshot: r.Snapshot.Stamp, OK: r.Result == OK, SHA256: manifest.HashOf(b.Bytes())}, b.Bytes(), nil
}

// Parse reads the stored bytes of the record of this name. What is not right is manifest.ErrInvalid, or layout.ErrDamaged where it is not what
// the name says.
func Parse(d layout.Drill, data []byte) (*Record, error) {
	if got := manifest.HashOf(data); got != d.SHA256 {
		return nil, fmt.Errorf("%w: its SHA-256 is %s", layout.ErrDamaged, got)
	}
	if err := manifest.CheckFormat(data); err != nil {
		return nil, err
	}
	r := new(Record)
	if err := manifest.Unmarshal(data, r); err != nil {
		return nil, err
	}
	switch {
	case r.Stamp != d.At || r.Snapshot.Stamp != d.Snapshot || (r.Result == OK) != d.OK || r.Result != OK && r.Result != Failed:
		return nil, fmt.Errorf("%w: it says that it is of %.20s, of snapshot %.20s, and %.20q", manifest.ErrInvalid, r.Stamp, r.Snapshot.Stamp, r.Result)
	case len(r.Previous) > maxPrevious:
		return nil, fmt.Errorf("%w: it names %d records before it", manifest.ErrInvalid, len(r.Previous))
	}
	for _, p := range r.Previous {
		if before, err := layout.ParseDrill(p.Name); err != nil || before.SHA256 != p.SHA256 {
			return nil, fmt.Errorf("%w: %.200q is not the name of a record", manifest.ErrInvalid, p.Name)
		}
	}
	for _, n := range []int64{r.Files, r.Bytes, r.Fetched, r.FailureCount} {
		if n < 0 {
			return nil, fmt.Errorf("%w: a count is negative", manifest.ErrInvalid)
		}
	}
	for _, p := range r.Phases {
		if p.MS < 0 || p.Bytes < 0 {
			return nil, fmt.Errorf("%w: phase %.40q is negative", manifest.ErrInvalid, p.Name)
		}
	}
	return r, nil
}

// Read returns a record of a store.
func Read(ctx context.Context, store layout.Store, d layout.Drill) (*Record, error) {
	data, err := store.ReadSmall(ctx, d.Key(), maxRecord)
	if err != nil {
		return nil, err
	}
	r, err := Parse(d, data)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", store, d.Key(), err)
	}
	return r, nil
}
