package swap

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"lifeboat/internal/durable"
)

// Info is what a journal carries for its readers. It decides nothing here.
type Info struct {
	App     string        `json:"app"`
	Stamp   string        `json:"stamp"`    // of the snapshot that is restored
	KeepOld time.Duration `json:"keep_old"` // in nanoseconds
	Command string        `json:"command"`

	Targets map[string]string `json:"targets,omitempty"` // where each source goes, by name
}

// A Record is what a journal says.
type Record struct {
	ID      string    `json:"id"`
	State   State     `json:"state"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"` // when it became Done or Undone
	Info    Info      `json:"info"`
	Safety  string    `json:"safety,omitempty"`  // stamp of the safety snapshot
	Purging bool      `json:"purging,omitempty"` // a purge has begun: what is kept is no longer whole
	Parents []string  `json:"parents"`
	Made    []string  `json:"made,omitempty"`
	Works   []Entry   `json:"works,omitempty"` // the work directories, as of the intent
	Members []Member  `json:"members,omitempty"`
	Strays  []Stray   `json:"strays,omitempty"`
}

// A Member is one entry that is exchanged. The caller gives the first four fields, Commit records the others.
type Member struct {
	Source   string `json:"source"`             // for messages
	Target   string `json:"target"`             // absolute
	Staged   string `json:"staged,omitempty"`   // absolute, in a work directory; "" when nothing comes, and what is there only goes
	Database bool   `json:"database,omitempty"` // the sidecars and super-journals beside Target go aside with it

	Work  string  `json:"work,omitempty"`  // the work directory that has what goes
	Old   []Entry `json:"old,omitempty"`   // what goes: the main entry first, then its sidecars
	New   []Entry `json:"new,omitempty"`   // what comes: the main entry first, then its sidecars
	Later []Entry `json:"later,omitempty"` // sidecars that the new database got after it was put in place, found by an undo
}

// An Entry is a file or directory that is moved, with what tells it from any other.
type Entry struct {
	Home string `json:"home"`           // where it is in use
	Away string `json:"away,omitempty"` // where it is when it is not: of an old one where it is kept, of a new one where it is staged
	Identity
	Mode uint32 `json:"mode,omitempty"` // permissions of a directory that its owner may not write to; 0 of all else
}

// A Stray is something that nobody expected at a target. It was moved, and is kept until Purge.
type Stray struct {
	Member int    `json:"member"`
	Home   string `json:"home"` // where it was found
	Kept   string `json:"kept"`
	Identity
}

func (r *Record) clone() Record {
	c := *r
	c.Parents, c.Made, c.Works = slices.Clone(r.Parents), slices.Clone(r.Made), slices.Clone(r.Works)
	c.Info.Targets = maps.Clone(r.Info.Targets)
	c.Members, c.Strays = slices.Clone(r.Members), slices.Clone(r.Strays)
	for i := range c.Members {
		m := &c.Members[i]
		m.Old, m.New, m.Later = slices.Clone(m.Old), slices.Clone(m.New), slices.Clone(m.Later)
	}
	return c
}

// mapPaths passes every path of a record through f.
func (r *Record) mapPaths(f func(*string)) {
	entries := func(list []Entry) {
		for i := range list {
			f(&list[i].Home)
			f(&list[i].Away)
		}
	}
	for i := range r.Parents {
		f(&r.Parents[i])
	}
	for i := range r.Made {
		f(&r.Made[i])
	}
	entries(r.Works)
	for i := range r.Members {
		m := &r.Members[i]
		f(&m.Target)
		f(&m.Staged)
		f(&m.Work)
		entries(m.Old)
		entries(m.New)
		entries(m.Later)
	}
	for name, path := range r.Info.Targets {
		f(&path)
		r.Info.Targets[name] = path
	}
	for i := range r.Strays {
		f(&r.Strays[i].Home)
		f(&r.Strays[i].Kept)
	}
}

// journalVersion is that of the journals that are written, and the only one that is read.
const journalVersion = 1

// maxJournal bounds the size of a journal, in bytes: some 100,000 members.
const maxJournal = 64 << 20

// An envelope is a journal as it lies on the disk. The checksum is that of the bytes of the record as they are there.
type envelope struct {
	Version int             `json:"version"`
	SHA256  string          `json:"sha256"`
	Record  json.RawMessage `json:"record"`
}

const (
	journalPrefix = "swap-"
	journalSuffix = ".json"
)

func (s *Swap) journal() string {
	return filepath.Join(s.dir, journalPrefix+s.rec.ID+journalSuffix)
}

// rawPrefix begins a path that is not UTF-8, which JSON can't say. No absolute path begins with it.
const rawPrefix = "base64:"

func encodePath(p *string) {
	if !utf8.ValidString(*p) {
		*p = rawPrefix + base64.StdEncoding.EncodeToString([]byte(*p))
	}
}

// save makes the record durable.
func (s *Swap) save() error {
	r := s.rec.clone()
	r.mapPaths(encodePath)
	record, err := json.Marshal(&r)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(record)
	data, err := json.Marshal(&envelope{journalVersion, hex.EncodeToString(sum[:]), record})
	if err != nil {
		return err
	}
	if len(data) >= maxJournal {
		return fmt.Errorf("journal %s: it would be larger than %d MiB", s.journal(), maxJournal>>20)
	}
	return s.do("journal "+string(s.rec.State), func() error {
		if err := durable.WriteFile(s.journal(), append(data, '\n'), 0o600); err != nil {
			return fmt.Errorf("write journal %s: %w", s.journal(), err)
		}
		return nil
	})
}

// change changes the record, on the disk first.
func (s *Swap) change(f func(*Record)) error {
	before := s.rec
	s.rec = before.clone()
	f(&s.rec)
	if err := s.save(); err != nil {
		s.rec = before
		return err
	}
	return nil
}

// List returns the swaps whose journals are in dir, oldest first. A journal that cannot be read is a *JournalError; the others are returned
// with it. A directory that is not there has none.
func List(dir string) ([]*Swap, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var swaps []*Swap
	var errs []error
	for _, e := range entries { // sorted by name, so by time
		id, ok := strings.CutPrefix(e.Name(), journalPrefix)
		if id, ok = cutSuffix(id, ok); !ok {
			continue
		}
		path := filepath.Join(dir, e.Name())
		rec, err := readJournal(path, id)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was removed meanwhile
		}
		if err != nil {
			errs = append(errs, &JournalError{path, err})
			continue
		}
		swaps = append(swaps, &Swap{dir: dir, rec: *rec})
	}
	return swaps, errors.Join(errs...)
}

func cutSuffix(name string, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	return strings.CutSuffix(name, journalSuffix)
}

// Unfinished returns the swap that was cut off between the old state and the new one, or nil.
func Unfinished(dir string) (*Swap, error) {
	swaps, err := List(dir)
	for _, s := range swaps {
		if s.rec.State == Swapping || s.rec.State == Undoing {
			return s, err
		}
	}
	return nil, err
}

func readJournal(path, id string) (*Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxJournal))
	if err != nil {
		return nil, err
	}
	rec, err := parseJournal(data)
	if err != nil {
		return nil, err
	}
	if rec.ID != id {
		return nil, fmt.Errorf("it is that of swap %q", rec.ID)
	}
	return rec, nil
}

// errJournal is what a journal that was torn or edited is refused with.
var errJournal = errors.New("it was cut off or changed by hand, so what it says can't be relied on")

// parseJournal reads a journal, which must be byte for byte what was written.
func parseJournal(data []byte) (*Record, error) {
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, fmt.Errorf("%w (%v)", errJournal, err)
	}
	if version.Version != journalVersion {
		return nil, fmt.Errorf("it has version %d, and this lifeboat reads %d: use the lifeboat that wrote it", version.Version, journalVersion)
	}
	var e envelope
	if err := strictly(data, &e); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(e.Record)
	if hex.EncodeToString(sum[:]) != e.SHA256 {
		return nil, fmt.Errorf("%w (its checksum is wrong)", errJournal)
	}
	var r Record
	if err := strictly(e.Record, &r); err != nil {
		return nil, err
	}
	var bad error
	r.mapPaths(func(p *string) {
		if raw, ok := strings.CutPrefix(*p, rawPrefix); ok {
			decoded, err := base64.StdEncoding.DecodeString(raw)
			if err != nil {
				bad = err
			}
			*p = string(decoded)
		}
		if *p != "" && !filepath.IsAbs(*p) {
			bad = fmt.Errorf("%q is not absolute", *p)
		}
	})
	if bad != nil {
		return nil, bad
	}
	switch r.State {
	case Staging, Swapping, Done, Undoing, Undone:
		return &r, nil
	}
	return nil, fmt.Errorf("it has an unknown state %q", r.State)
}

func strictly(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w (%v)", errJournal, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w (something follows it)", errJournal)
	}
	return nil
}
