package main

import (
	"testing"

	"lifeboat/bench/data"
)

// scattered is a database of which one row in so many changes from one snapshot to the next, anywhere.
func scattered(rows, perDay int) workload {
	return workload{name: "scattered", perDay: perDay, make: makeDatabase, change: func(dir string, step int) error {
		return changeDatabase(dir, data.Change{Rows: rows}, step)
	}}
}

// age lives for some days with 4 MiB, and restores at the end.
func age(t *testing.T, w workload, meant int64, days int) *report {
	t.Helper()
	l, err := newLife(w, t.TempDir(), 4<<20, meant)
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.run(t.Context(), days, 4, 1, func(text string) { t.Log(text) })
	if err != nil {
		t.Fatal(err)
	}
	a := r.aged[0]
	t.Logf("stored %.2f times live at most, on the worst day uploaded %.2f times what had changed, %d archives at most; restored %d extents from %d archives by %d requests, and %d of tables by %d",
		r.mostStored(0, live), r.worst().worse(), r.mostArchives(), r.shape.extents, len(r.shape.archives), a.content, len(r.shape.tables), a.table)
	if n := len(r.shape.archives); a.content > n {
		t.Errorf("%d requests for %d archives", a.content, n)
	}
	if n := len(r.shape.tables); a.table > 4*n+4 { // tables are read more than once, to plan, to lay down, and to finish
		t.Errorf("%d requests for %d archives of tables", a.table, n)
	}
	return r
}

// A database whose pages change in eight days keeps within what docs/decisions/0073 says. All that is compared are counts, so no machine is too slow.
func TestStoredAndUploaded(t *testing.T) {
	t.Parallel()
	r := age(t, scattered(25, 1), 1280<<20, 16)
	if n := r.mostStored(0, live); n > 2.2 {
		t.Errorf("%.2f times what is live was stored, more than 2.2", n)
	}
	if n := r.worst().worse(); n > 2 {
		t.Errorf("%.2f times what had changed was uploaded on a day, more than 2", n)
	}
}
