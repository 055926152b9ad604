package layout

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"lifeboat/manifest"
	"lifeboat/remote"
)

const (
	drillsPrefix = "drills/"
	drillsSuffix = ".json"
)

// A Drill is the name of the evidence of one drill, which tells what is asked most often: which snapshot was drilled, when, and whether it
// passed. What else is known of it is in the object (package drill).
type Drill struct {
	At       manifest.Stamp // later than that of every record that its writer knew of
	Snapshot manifest.Stamp
	OK       bool
	SHA256   manifest.Hash // of the stored bytes
}

// Key returns the key of the evidence.
func (d Drill) Key() string {
	result := "failed"
	if d.OK {
		result = "ok"
	}
	return drillsPrefix + strings.Join([]string{string(d.At), string(d.Snapshot), result, d.SHA256.String()}, "-") + drillsSuffix
}

// Name returns the key without what it begins with.
func (d Drill) Name() string { return strings.TrimPrefix(d.Key(), drillsPrefix) }

// ParseDrill reads the name of evidence, as Name returns it.
func ParseDrill(name string) (d Drill, err error) {
	base, ok := strings.CutSuffix(name, drillsSuffix)
	parts := strings.Split(base, "-")
	if !ok || len(parts) != 4 || parts[2] != "ok" && parts[2] != "failed" {
		return Drill{}, manifest.ErrInvalid
	}
	d.OK = parts[2] == "ok"
	if d.At, err = manifest.ParseStamp(parts[0]); err == nil {
		d.Snapshot, err = manifest.ParseStamp(parts[1])
	}
	if err == nil {
		d.SHA256, err = manifest.ParseHash(parts[3])
	}
	if err != nil {
		return Drill{}, err
	}
	return d, nil
}

// Compare orders drills by time.
func (d Drill) Compare(e Drill) int {
	return cmp.Or(cmp.Compare(d.At, e.At), strings.Compare(d.Key(), e.Key()))
}

// Drills lists the evidence in this store, oldest first. Objects whose names are not those of evidence are ignored.
func (s Store) Drills(ctx context.Context) (list []Drill, err error) {
	for info, err := range s.List(ctx, drillsPrefix) {
		if err != nil {
			return nil, err
		}
		if d, ok := drillOf(info); ok {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, Drill.Compare)
	return list, nil
}

// drillOf returns the evidence that an object is, by its name, if it is any.
func drillOf(info remote.Info) (Drill, bool) {
	name, below := strings.CutPrefix(info.Key, drillsPrefix)
	if !below {
		return Drill{}, false
	}
	d, err := ParseDrill(name)
	return d, err == nil
}

// PutDrill stores evidence under the name that belongs to it.
func (s Store) PutDrill(ctx context.Context, d Drill, data []byte) error {
	return s.PutSmall(ctx, d.Key(), data, remote.PutOptions{})
}

// Proven returns the stamps of the snapshots that a drill has restored, and found to be right, by the evidence in this store.
func (s Store) Proven(ctx context.Context) (map[manifest.Stamp]bool, error) {
	drills, err := s.Drills(ctx)
	if err != nil {
		return nil, err
	}
	proven := map[manifest.Stamp]bool{}
	for _, d := range drills {
		if d.OK {
			proven[d.Snapshot] = true
		}
	}
	return proven, nil
}
