package manifest

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// A Ref is what a person writes to name a snapshot:
//
//	latest                  the newest one that can be relied upon
//	latest@TIME             the newest one at or before a time
//	20061102T150405Z        a stamp
//	20061102                the beginning of a stamp or of an ID, if it is unambiguous
//	<stamp>-<sha256>        an ID
//
// TIME is RFC 3339, a stamp, or local time as 2006-01-02, 2006-01-02T15:04 or 2006-01-02T15:04:05 (a space
// may stand for the T). A date means the end of that day.
type Ref struct {
	text    string
	latest  bool
	limited bool // to before; with latest
	before  time.Time
	prefix  string
}

// ParseRef reads a reference. Local times are of loc.
func ParseRef(s string, loc *time.Location) (Ref, error) {
	r := Ref{text: s}
	head, at, hasTime := strings.Cut(s, "@")
	if head == "latest" {
		r.latest = true
		if !hasTime {
			return r, nil
		}
		var err error
		if r.before, err = parseTime(at, loc); err != nil {
			return Ref{}, err
		}
		r.limited = true
		return r, nil
	}
	if s == "" || strings.Trim(s, "0123456789abcdefTZ-") != "" {
		return Ref{}, fmt.Errorf("%q names no snapshot: want latest, latest@TIME, a stamp such as %s, or its beginning", s, stampLayout)
	}
	r.prefix = s
	return r, nil
}

func parseTime(s string, loc *time.Location) (time.Time, error) {
	if stamp, err := ParseStamp(s); err == nil {
		return stamp.Time(), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if t, err := time.Parse("2006-01-02", s); err == nil {
		return endOfDay(t, loc), nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, strings.Replace(s, " ", "T", 1), loc); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: want 2006-01-02, 2006-01-02T15:04 (local) or RFC 3339", s)
}

// endOfDay returns the last instant of a date in loc. Where clocks are changed at midnight, that may be at 23:59 for the second
// time, or the day after may begin at 01:00.
func endOfDay(date time.Time, loc *time.Location) time.Time {
	y, m, d := date.Date()
	at := func(zone time.Time) time.Time { // the end of the day by the clock of that time
		_, offset := zone.Zone()
		return time.Date(y, m, d, 23, 59, 59, 1e9-1, time.UTC).Add(-time.Duration(offset) * time.Second).In(loc)
	}
	noon := time.Date(y, m, d+1, 12, 0, 0, 0, loc)
	changed, _ := noon.ZoneBounds()
	if end := at(noon); changed.IsZero() || !end.Before(changed) {
		return end
	}
	before := changed.Add(-1)
	if end := at(before); end.Before(before) {
		return end
	}
	return before
}

// IsLatest reports whether the reference leaves the choice of the newest to Select.
func (r Ref) IsLatest() bool { return r.latest }

// String returns the reference as it was written.
func (r Ref) String() string { return r.text }

// Skipped is a snapshot that "latest" passed over, and why.
type Skipped struct {
	ID  ID
	Why string
}

// AmbiguousError reports a reference that fits several snapshots.
type AmbiguousError struct {
	Ref string
	IDs []ID
}

func (e *AmbiguousError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q fits %d snapshots; write more of one of these:", e.Ref, len(e.IDs))
	for i, id := range e.IDs {
		if i == 10 {
			fmt.Fprintf(&b, "\n  and %d more", len(e.IDs)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %s-%.12s", id.Stamp, id.SHA256)
	}
	return b.String()
}

// Select picks the snapshot that the reference names. IDs may be in any order and occur several times. For latest it asks fit about one ID after another,
// newest first; fit returns why an ID must be passed over, or "". An error of fit ends the search. When nothing fits, the error is
// fs.ErrNotExist; when more than one does, an *AmbiguousError.
func (r Ref) Select(ids []ID, fit func(ID) (why string, err error)) (ID, []Skipped, error) {
	if r.latest {
		return r.selectLatest(ids, fit)
	}
	var found []ID
	for _, id := range ids {
		if strings.HasPrefix(id.String(), r.prefix) {
			found = append(found, id)
		}
	}
	slices.SortFunc(found, ID.Compare)
	found = slices.Compact(found)
	switch len(found) {
	case 0:
		return ID{}, nil, fmt.Errorf("snapshot %q: %w", r.text, fs.ErrNotExist)
	case 1:
		return found[0], nil, nil
	}
	return ID{}, nil, &AmbiguousError{r.text, found}
}

func (r Ref) selectLatest(ids []ID, fit func(ID) (string, error)) (ID, []Skipped, error) {
	sorted := slices.Clone(ids)
	slices.SortFunc(sorted, func(a, b ID) int { return b.Compare(a) })
	sorted = slices.Compact(sorted)
	var skipped []Skipped
	for _, id := range sorted {
		if r.limited && id.Stamp.Time().After(r.before) {
			continue
		}
		why, err := fit(id)
		if err != nil {
			return ID{}, skipped, err
		}
		if why == "" {
			return id, skipped, nil
		}
		skipped = append(skipped, Skipped{id, why})
	}
	return ID{}, skipped, fmt.Errorf("snapshot %q: %w", r.text, fs.ErrNotExist)
}
