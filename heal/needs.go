package heal

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/manifest"
)

// Needs remembers which archives snapshots need, of what size they are, and how long manifests are. None of that ever changes, so what was learned
// once is not asked for again, whatever store a snapshot is in. It takes some 100 bytes for each archive, and 4 for each time that a snapshot
// needs one. Several goroutines may use it; nil is no Needs.
//
// What it says is a reason to look, never a finding by itself: see Confirm.
type Needs struct {
	mu       sync.Mutex
	archives []publish.Need
	index    map[manifest.Hash]int32
	of       map[manifest.ID]*needed
	changed  bool
}

// needed is what one snapshot needs.
type needed struct {
	manifest int64   // bytes, as it is stored
	archives []int32 // ascending
	seen     int64   // the day on which it was last listed, since 1970
}

// forgotten is for how long a snapshot is remembered that no store lists.
const forgotten = 30

// needsFormat is what the remembered needs begin with. Any other is as good as none.
const needsFormat = "lifeboat-needs/1"

// ErrNoNeeds marks bytes that are not what Encode made. Nothing is lost with them but the time to learn it again.
var ErrNoNeeds = errors.New("it is not what snapshots need")

// NewNeeds returns Needs that know of no snapshot.
func NewNeeds() *Needs {
	return &Needs{index: map[manifest.Hash]int32{}, of: map[manifest.ID]*needed{}}
}

// The form in which needs are kept: a SHA-256 of the rest, in hexadecimal, a newline, and this as JSON.
type encodedNeeds struct {
	Format    string                   `json:"format"`
	Archives  []encodedArchive         `json:"archives"`
	Snapshots map[string]encodedNeeded `json:"snapshots"`
}

type encodedArchive struct {
	SHA256 manifest.Hash `json:"sha256"`
	Size   int64         `json:"size"`
}

type encodedNeeded struct {
	Manifest int64   `json:"manifest"`
	Runs     []int32 `json:"runs"` // the first of a run of archives, and how many there are; and so on
	Seen     int64   `json:"seen"`
}

// ParseNeeds reads what Encode has written. Anything else is ErrNoNeeds.
func ParseNeeds(data []byte) (*Needs, error) {
	sum, text, ok := bytes.Cut(data, []byte{'\n'})
	if !ok || string(sum) != manifest.HashOf(text).String() {
		return nil, ErrNoNeeds
	}
	var e encodedNeeds
	if err := json.Unmarshal(text, &e); err != nil || e.Format != needsFormat {
		return nil, ErrNoNeeds
	}
	n := NewNeeds()
	for _, a := range e.Archives {
		n.intern(publish.Need{SHA256: a.SHA256, Size: a.Size})
	}
	for name, s := range e.Snapshots {
		id, err := manifest.ParseID(name)
		if err != nil || len(n.archives) != len(e.Archives) || len(s.Runs)%2 != 0 {
			return nil, ErrNoNeeds
		}
		list := &needed{manifest: s.Manifest, seen: s.Seen}
		for i := 0; i < len(s.Runs); i += 2 {
			first, count := s.Runs[i], s.Runs[i+1]
			if first < 0 || count < 1 || int(count) > len(n.archives)-int(first) {
				return nil, ErrNoNeeds
			}
			for j := range count {
				list.archives = append(list.archives, first+j)
			}
		}
		n.of[id] = list
	}
	return n, nil
}

// Encode returns what ParseNeeds reads; changed reports whether that is anything new. What no store has listed for a month before now is left out.
func (n *Needs) Encode(now time.Time) (data []byte, changed bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.changed {
		return nil, false, nil
	}
	e := encodedNeeds{Format: needsFormat, Archives: []encodedArchive{}, Snapshots: map[string]encodedNeeded{}}
	at := map[int32]int32{}
	ids := make([]manifest.ID, 0, len(n.of))
	for id := range n.of {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, manifest.ID.Compare)
	for _, id := range ids {
		s := n.of[id]
		if day(now)-s.seen > forgotten {
			continue
		}
		list := make([]int32, 0, len(s.archives))
		for _, i := range s.archives {
			j, ok := at[i]
			if !ok {
				j = int32(len(e.Archives))
				at[i] = j
				e.Archives = append(e.Archives, encodedArchive(n.archives[i]))
			}
			list = append(list, j)
		}
		slices.Sort(list)
		e.Snapshots[id.String()] = encodedNeeded{s.manifest, runsOf(list), s.seen}
	}
	text, err := json.Marshal(e)
	if err != nil {
		return nil, false, err
	}
	return append([]byte(manifest.HashOf(text).String()+"\n"), text...), true, nil
}

// runsOf writes an ascending list as runs.
func runsOf(list []int32) []int32 {
	runs := []int32{}
	for _, i := range list {
		if k := len(runs); k > 0 && runs[k-2]+runs[k-1] == i {
			runs[k-1]++
		} else {
			runs = append(runs, i, 1)
		}
	}
	return runs
}

func day(t time.Time) int64 { return t.Unix() / (24 * 60 * 60) }

// See notes that a snapshot is listed, and reports whether it is known what it needs.
func (n *Needs) See(id manifest.ID, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.of[id]
	if s != nil && s.seen < day(now) {
		s.seen = day(now)
		n.changed = true
	}
	return s != nil
}

// Learn notes what a snapshot needs. What describes it is read, if that is not known.
func (n *Needs) Learn(ctx context.Context, snap *layout.Snapshot, now time.Time) error {
	if n.See(snap.ID, now) {
		return nil
	}
	var all []publish.Need
	for a, err := range publish.Needs(ctx, snap) {
		if err != nil {
			return err
		}
		all = append(all, a)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	s := &needed{manifest: int64(len(snap.Stored)), seen: day(now)}
	for _, a := range all {
		s.archives = append(s.archives, n.intern(a))
	}
	slices.Sort(s.archives)
	s.archives = slices.Compact(s.archives)
	n.of[snap.ID] = s
	n.changed = true
	return nil
}

func (n *Needs) intern(a publish.Need) int32 {
	i, ok := n.index[a.SHA256]
	if !ok {
		i = int32(len(n.archives))
		n.archives = append(n.archives, a)
		n.index[a.SHA256] = i
	}
	return i
}

// Compare returns what a store seems to lack, by one listing of it, of what is known that its snapshots need, in order of keys.
func (n *Needs) Compare(listed *layout.Survey) (list []*Loss) {
	n.mu.Lock()
	defer n.mu.Unlock()
	bad := make([]*Loss, len(n.archives))
	for i, a := range n.archives {
		has, there := listed.Archives[a.SHA256]
		if there && has.Size == a.Size {
			continue
		}
		bad[i] = &Loss{Key: layout.ArchiveKey(a.SHA256), SHA256: a.SHA256, Size: a.Size, Has: has.Size, Missing: !there}
	}
	for _, e := range listed.Snapshots {
		s := n.of[e.ID]
		if s == nil {
			continue
		}
		if e.Size != s.manifest {
			list = append(list, &Loss{Key: layout.ManifestKey(e.ID), SHA256: e.ID.SHA256, Size: s.manifest, Has: e.Size, Manifest: true, Snapshots: []manifest.ID{e.ID}})
		}
		for _, i := range s.archives {
			if bad[i] != nil {
				bad[i].Snapshots = append(bad[i].Snapshots, e.ID)
			}
		}
	}
	for _, l := range bad {
		if l != nil && len(l.Snapshots) > 0 {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b *Loss) int { return cmp.Compare(a.Key, b.Key) })
	return list
}
