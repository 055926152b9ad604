//go:build unix

package layout_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
	"sync"
	"testing"

	"lifeboat/internal/layout"
	"lifeboat/manifest"
	"lifeboat/remote"
)

// A bucket is a store that can be listed from some name on, and that tells what it was asked for.
type bucket struct {
	remote.Store
	mu    sync.Mutex
	asked []string
	fail  error // of listings

	both  bool // an object is opened only when a listing was asked for too, and the other way round
	meets chan struct{}
}

// meet waits for another that meets, so it is the end of a test in which one waits for the other.
func (b *bucket) meet() {
	if !b.both {
		return
	}
	select {
	case b.meets <- struct{}{}:
	case <-b.meets:
	}
}

func (b *bucket) note(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, what)
}

func (b *bucket) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	b.note("open " + key)
	b.meet()
	return b.Store.Open(ctx, key, off, n)
}

func (b *bucket) List(ctx context.Context, prefix string) iter.Seq2[remote.Info, error] {
	b.meet()
	return b.list(ctx, prefix, "")
}

func (b *bucket) ListAfter(ctx context.Context, after string) iter.Seq2[remote.Info, error] {
	return b.list(ctx, "", after)
}

func (b *bucket) list(ctx context.Context, prefix, after string) iter.Seq2[remote.Info, error] {
	return func(yield func(remote.Info, error) bool) {
		n := 0
		for info, err := range b.Store.List(ctx, prefix) {
			if info.Key <= after {
				continue
			}
			if n%1000 == 0 {
				b.note("list " + prefix + after)
			}
			if n++; b.fail != nil {
				yield(remote.Info{}, b.fail)
				return
			}
			if !yield(info, err) {
				return
			}
		}
		if n == 0 {
			b.note("list " + prefix + after)
			if b.fail != nil {
				yield(remote.Info{}, b.fail)
			}
		}
	}
}

const aMarker = `{"format":"lifeboat/1","id":"3f0c2a52-7a52-4a37-9a55-0b7f0f6a2d11","app":"app","created":"2026-01-02T03:04:05Z"}`

// Where a store is begun with, one listing shows all of it, or all but many archives; and whether there is a marker it shows as well.
func TestEnter(t *testing.T) {
	unreachable := fmt.Errorf("nobody answers: %w", remote.ErrUnavailable)
	for name, test := range map[string]struct {
		archives int
		marker   bool
		expected bool
		fail     error
		asked    string // in any order
		listed   bool   // the archives
		want     error
	}{
		"known":              {archives: 999, marker: true, expected: true, asked: "list , open lifeboat.json", listed: true},
		"known, many":        {archives: 1000, marker: true, expected: true, asked: "list , list archives0, open lifeboat.json"},
		"known, and gone":    {expected: true, asked: "list , open lifeboat.json", listed: true, want: fs.ErrNotExist},
		"known, not listed":  {marker: true, expected: true, fail: unreachable, asked: "list , open lifeboat.json"},
		"new":                {asked: "list ", listed: true, want: fs.ErrNotExist},
		"new, much is there": {archives: 1500, asked: "list , list archives0", want: fs.ErrNotExist},
		"another's":          {archives: 3, marker: true, asked: "list , open lifeboat.json", listed: true},
		"new, not listed":    {fail: unreachable, asked: "list ", want: remote.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bucket{Store: remote.NewMemory(nil), fail: test.fail, both: test.expected, meets: make(chan struct{})}
			s := layout.Store{Store: b}
			for i := range test.archives {
				put(t, s, layout.ArchiveKey(manifest.HashOf(fmt.Append(nil, i))), "x")
			}
			if test.marker {
				put(t, s, layout.MarkerKey, aMarker)
			}
			m, g, err := s.Enter(t.Context(), test.expected)
			if !errors.Is(err, test.want) || err == nil && m.App != "app" {
				t.Errorf("%+v, %v, want %v", m, err, test.want)
			}
			asked := map[string]bool{}
			for _, what := range b.asked {
				asked[what] = true
			}
			want := strings.Split(test.asked, ", ")
			if len(b.asked) != len(want) {
				t.Errorf("asked for %q, want %q", b.asked, want)
			}
			for _, what := range want {
				if !asked[what] {
					t.Errorf("asked for %q, want %q", b.asked, want)
				}
			}
			if test.fail != nil {
				if g != nil {
					t.Errorf("a glance at what cannot be listed: %+v", g)
				}
				return
			}
			if got := g.Archives(); (got != nil) != test.listed || test.listed && len(got) != test.archives {
				t.Errorf("%d archives, listed %v", len(got), got != nil)
			}
			b.asked = nil
			if _, err := layout.ListBeyond(t.Context(), map[layout.Store]*layout.Glance{s: g}, s); err != nil || len(b.asked) > 0 {
				t.Errorf("%v; what was seen is asked for again: %q", err, b.asked)
			}
		})
	}
}

// What is read to find out which snapshot is the latest is not read again to open it, nor by the catalog of one place; what another place has is.
func TestReadOnce(t *testing.T) {
	one, two := &bucket{Store: remote.NewMemory(nil)}, &bucket{Store: remote.NewMemory(nil)}
	a, b := layout.Store{Store: one}, layout.Store{Store: two}
	id := seal(t, a, "20260102T030405Z", nil)
	seal(t, b, "20260102T030405Z", nil)
	c, err := layout.List(t.Context(), a, b)
	must(t, err)
	for range 3 {
		if _, err := c.Head(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		snap, err := c.Open(t.Context(), id, 1)
		must(t, err)
		if snap.ID != id || snap.Head.Stamp != id.Stamp {
			t.Errorf("opened %+v", snap.Head)
		}
		if _, err := c.Only(a).Head(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(one.asked, ", "); got != "list archives0, open "+layout.ManifestKey(id) {
		t.Errorf("asked for %s", got)
	}
	if got := strings.Join(two.asked, ", "); got != "list archives0" {
		t.Errorf("the other place was asked for %s", got)
	}
	if _, err := c.Only(b).Head(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(two.asked, ", "); got != "list archives0, open "+layout.ManifestKey(id) {
		t.Errorf("the other place was asked for %s", got)
	}
}
