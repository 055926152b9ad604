package keep_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lifeboat/internal/keep"
)

func files(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// What was put comes back, or nothing does: every flipped, cut or added byte is noticed, and one thing is not taken for another.
func TestDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	d := keep.In(dir)
	if d.Get("a") != nil {
		t.Error("there is something in nothing")
	}
	d.Put("a", []byte("alpha"))
	d.Put("b", []byte("beta"))
	if got := d.Get("a"); string(got) != "alpha" {
		t.Fatalf("a is %q", got)
	}
	list := files(t, dir)
	if len(list) != 2 {
		t.Fatalf("%q", list)
	}
	one, err := os.ReadFile(list[0])
	if err != nil {
		t.Fatal(err)
	}
	name := "a"
	if bytes.HasSuffix(one, []byte("beta")) {
		name = "b"
	}
	put := func(path string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for at := range one {
		bad := bytes.Clone(one)
		bad[at] ^= 1
		put(list[0], bad)
		if got := d.Get(name); got != nil {
			t.Errorf("with byte %d flipped: %q", at, got)
		}
		put(list[0], one[:at])
		if got := d.Get(name); got != nil {
			t.Errorf("cut at %d: %q", at, got)
		}
	}
	put(list[0], append(bytes.Clone(one), 0))
	if got := d.Get(name); got != nil {
		t.Errorf("with a byte more: %q", got)
	}
	other, err := os.ReadFile(list[1])
	if err != nil {
		t.Fatal(err)
	}
	put(list[0], other)
	if got := d.Get(name); got != nil {
		t.Errorf("with the other's file: %q", got)
	}
	d.Put(name, []byte("new"))
	if got := d.Get(name); string(got) != "new" {
		t.Errorf("put again: %q", got)
	}
}

// There is never much more than 64 MiB, and the oldest go first. What a killed process left goes, too, and what another is writing does not.
func TestBounds(t *testing.T) {
	dir := t.TempDir()
	big := make([]byte, 1<<20)
	d := keep.In(dir)
	for i := range 66 {
		d.Put(fmt.Sprint(i), big)
		for _, path := range files(t, dir) {
			if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) < time.Hour { // that is the new one
				if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Duration(i-100)*time.Hour)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for name, old := range map[string]time.Duration{".tmp-old": 48 * time.Hour, ".tmp-new": 0} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-old)); err != nil {
			t.Fatal(err)
		}
	}
	keep.In(dir).Put("last", []byte("x"))
	for name, want := range map[string]bool{"0": false, "17": false, "20": true, "65": true, "last": true} {
		if got := d.Get(name) != nil; got != want {
			t.Errorf("%s is there: %v, want %v", name, got, want)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, ".tmp-*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != ".tmp-new" {
		t.Errorf("left: %q, %v", left, err)
	}
	d.Put("too much", make([]byte, 1<<20+1))
	if d.Get("too much") != nil {
		t.Error("something too large is kept")
	}
}

// Where nothing can be kept, nothing is, and nothing fails.
func TestNoPlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := keep.In(filepath.Join(file, "kept"))
	d.Put("a", []byte("x"))
	if d.Get("a") != nil {
		t.Error("it is kept")
	}
}
