package prune_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/internal/publish"
	"lifeboat/internal/zst"
	"lifeboat/manifest"
	"lifeboat/remote"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// content returns the bytes of the archive of a name. Nobody here looks into one.
func content(name string) []byte { return []byte("archive " + name) }

func hashOf(name string) manifest.Hash { return manifest.HashOf(content(name)) }

func need(name string) publish.Need {
	return publish.Need{SHA256: hashOf(name), Size: int64(len(content(name)))}
}

var encoder = sync.OnceValue(func() *zst.Encoder {
	enc, err := zst.NewEncoder(zst.Better, 1)
	if err != nil {
		panic(err)
	}
	return enc
})

// A tiny snapshot is a manifest that needs archives and has no files.
type tiny struct {
	id     manifest.ID
	stored []byte
	needs  []publish.Need
}

func tinySnapshot(at time.Time, names ...string) tiny {
	h := &manifest.Head{Format: manifest.Format, App: "app", Kind: manifest.Backup, Stamp: manifest.StampOf(at), Tool: strings.Repeat("tool", 64), Finished: time.Unix(1, 0).UTC(),
		State: manifest.Complete, Consistency: manifest.Consistency{Level: manifest.Stable}}
	s := tiny{}
	for _, name := range names {
		n := need(name)
		h.Roots = append(h.Roots, manifest.Archive{SHA256: n.SHA256, Size: n.Size, Length: 1, Frames: []int64{n.Size}, Index: manifest.Index{SHA256: n.SHA256}})
		s.needs = append(s.needs, n)
	}
	data, err := h.Encode()
	if err != nil {
		panic(err)
	}
	s.stored = encoder().Encode(nil, data)
	s.id = manifest.ID{Stamp: h.Stamp, SHA256: manifest.HashOf(s.stored)}
	return s
}

// place returns a store that has nothing but the manifest.
func (s tiny) place() layout.Store {
	at := layout.Store{Store: remote.NewMemory(nil)}
	if err := at.PutSmall(context.Background(), layout.ManifestKey(s.id), s.stored, remote.PutOptions{}); err != nil {
		panic(err)
	}
	return at
}

// open returns the snapshot as one that is open for reading. It needs no other store for that, as it has no tables.
func (s tiny) open(t testing.TB) *layout.Snapshot {
	t.Helper()
	snap, err := layout.OpenSnapshot(context.Background(), s.id, 1, s.place())
	must(t, err)
	return snap
}

// beginning is when tests begin.
var beginning = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A bench is a store, and a machine, whose clocks stand still until they are set.
type bench struct {
	layout.Store
	time  time.Time
	slept []time.Duration
	wake  func() // what happens while somebody sleeps
}

func newBench() *bench {
	b := &bench{time: beginning}
	b.Store = layout.Store{Store: remote.NewMemory(func() time.Time { return b.time })}
	return b
}

func (b *bench) pass(d time.Duration) { b.time = b.time.Add(d) }

// Now, Sleep: a bench is the clock of its machine.
type benchClock struct{ *bench }

func (b benchClock) Now() publish.Reading {
	return publish.Reading{Wall: b.time, Monotonic: b.time.Sub(beginning)}
}

func (b benchClock) Sleep(ctx context.Context, d time.Duration) error {
	b.slept = append(b.slept, d)
	b.pass(d)
	if b.wake != nil {
		b.wake()
	}
	return ctx.Err()
}

func (b *bench) clock() publish.Clock { return benchClock{b} }

func (b *bench) archive(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		must(t, b.PutSmall(t.Context(), layout.ArchiveKey(hashOf(name)), content(name), remote.PutOptions{}))
	}
}

// list puts a snapshot there, without regard for rules.
func (b *bench) list(t testing.TB, names ...string) tiny {
	t.Helper()
	s := tinySnapshot(b.time, names...)
	must(t, b.PutSmall(t.Context(), layout.ManifestKey(s.id), s.stored, remote.PutOptions{}))
	return s
}

// keys returns what is in the store; archives by their names.
func (b *bench) keys(t testing.TB, names ...string) []string {
	t.Helper()
	var keys []string
	for info, err := range b.Store.List(context.Background(), "") {
		must(t, err)
		key := info.Key
		for _, name := range names {
			if key == layout.ArchiveKey(hashOf(name)) {
				key = name
			}
		}
		keys = append(keys, key)
	}
	return keys
}

func same(t testing.TB, what string, a, b []byte) {
	t.Helper()
	if !bytes.Equal(a, b) {
		t.Errorf("%s: %q, want %q", what, a, b)
	}
}
