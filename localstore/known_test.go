package localstore_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"lifeboat/localstore"
	"lifeboat/remote"
)

func prepared(t *testing.T) *localstore.Store {
	t.Helper()
	s, _, err := localstore.Prepare(t.Context(), t.TempDir(), "app", nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What a server refuses is remembered beside the ID, for each remote, for thirty days.
func TestRefusals(t *testing.T) {
	s := prepared(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(url string, at time.Time, want remote.Refusals) {
		t.Helper()
		again, err := localstore.Open(t.Context(), s.Path()) // as a later process does
		must(err)
		if got, err := again.Refusals(url, at); err != nil || got != want {
			t.Errorf("Refusals(%s, %s) = %+v, %v; want %+v", url, at, got, err, want)
		}
	}
	const day = 24 * time.Hour
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	none, sum, both := remote.Refusals{}, remote.Refusals{Checksum: true}, remote.Refusals{Condition: true, Checksum: true}

	want("s3://b/a", now, none)
	must(s.RememberRefusals("s3://b/a", sum, now)) // before the marker is there
	must(s.Remember("s3://b/a", "id-1"))
	must(s.Remember("s3://b/other", "id-2"))
	want("s3://b/a", now, sum)
	want("s3://b/other", now, none)
	must(s.RememberRefusals("s3://b/a", remote.Refusals{Condition: true}, now.Add(10*day)))
	want("s3://b/a", now.Add(10*day), both)
	want("s3://b/a", now.Add(30*day-1), both)
	want("s3://b/a", now.Add(30*day), remote.Refusals{Condition: true}) // tried again
	want("s3://b/a", now.Add(40*day), none)
	want("s3://b/a", now.Add(-day), none) // a clock that was wrong
	must(s.RememberRefusals("s3://b/a", sum, now.Add(31*day)))
	want("s3://b/a", now.Add(45*day), sum)
	if id, err := s.Known("s3://b/a"); err != nil || id != "id-1" {
		t.Errorf("Known = %q, %v; want id-1", id, err)
	}
	must(s.Remember("s3://b/a", "id-3")) // another store, maybe of another server
	want("s3://b/a", now.Add(31*day), none)
}

// The file of version 0.1 is read, and kept when it is written anew.
func TestKnownOfOldVersion(t *testing.T) {
	s := prepared(t)
	old := `{"s3://b/a": "id-1", "s3://b/b": "id-2"}`
	if err := os.WriteFile(filepath.Join(s.Path(), "known.json"), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for url, want := range map[string]string{"s3://b/a": "id-1", "s3://b/b": "id-2", "s3://b/c": ""} {
			if id, err := s.Known(url); err != nil || id != want {
				t.Errorf("Known(%s) = %q, %v; want %q", url, id, err, want)
			}
		}
		if err := s.RememberRefusals("s3://b/a", remote.Refusals{Checksum: true}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

// Uploads that find out something at once do not overwrite each other's findings.
func TestRememberAtOnce(t *testing.T) {
	s := prepared(t)
	now := time.Now()
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			r := remote.Refusals{Condition: i%2 == 0, Checksum: i%2 == 1}
			if err := s.RememberRefusals("s3://b/a", r, now); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got, err := s.Refusals("s3://b/a", now); err != nil || !got.Condition || !got.Checksum {
		t.Errorf("Refusals = %+v, %v; want both", got, err)
	}
}
