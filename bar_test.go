package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/internal/progress"
	"lifeboat/manifest"
	"lifeboat/snapshot"
)

func TestBar(t *testing.T) {
	var screen bytes.Buffer
	u := &ui{err: &screen}
	m := &progress.Meter{}
	b := &bar{u: u, m: m}
	b.show() // nothing has begun
	if screen.Len() > 0 {
		t.Errorf("a bar before anything has begun: %q", screen.String())
	}
	m.Begin("capture", 1000)
	b.show()
	m.Add(500)
	b.show()
	if !strings.Contains(screen.String(), "capture  50%") {
		t.Errorf("half way: %q", screen.String())
	}
	u.note("a word between")
	lines := strings.Split(screen.String(), "\n")
	if last := lines[0][strings.LastIndex(lines[0], "\r")+1:]; len(lines) != 2 || last != "a word between" {
		t.Errorf("a note is not in a line of its own: %q", lines)
	}
	m.Add(5000) // the total was an estimate
	b.show()
	m.Begin("send", 0)
	b.show()
	m.Add(10)
	b.show()
	if !strings.Contains(screen.String(), "send") {
		t.Errorf("the second phase: %q", screen.String())
	}
	b.finish()
	screen.Reset()
	u.note("the end")
	if got := screen.String(); got != "the end\n" {
		t.Errorf("after the bar is gone: %q", got)
	}
}

func TestPlainProgress(t *testing.T) {
	var out bytes.Buffer
	u := &ui{err: &out}
	u.plain(progress.Reading{})
	u.plain(progress.Reading{Phase: "capture", Done: 1 << 20, Files: 1})
	u.plain(progress.Reading{Phase: "capture", Done: 1 << 20, Total: 4 << 20, Files: 2})
	u.plain(progress.Reading{Phase: "capture", Done: 9 << 20, Total: 4 << 20, Files: 2})
	want := "capture: 1.0 MiB, 1 file\ncapture: 1.0 MiB of 4.0 MiB (25 %), 2 files\ncapture: 9.0 MiB of 4.0 MiB (100 %), 2 files\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestProgressMode(t *testing.T) {
	for _, test := range []struct {
		u    *ui
		want string
	}{
		{&ui{progress: "auto"}, "plain"},
		{&ui{progress: "auto", terminal: true}, "bar"},
		{&ui{progress: "auto", terminal: true, quiet: true}, "none"},
		{&ui{progress: "bar"}, "bar"},
		{&ui{progress: "none", terminal: true}, "none"},
	} {
		if got := test.u.progressMode(); got != test.want {
			t.Errorf("%s: %s, want %s", test.u.progress, got, test.want)
		}
	}
}

func TestMeasure(t *testing.T) {
	dir := t.TempDir()
	for name, n := range map[string]int{"a": 100, "sub/b": 1000} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, n), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sources := []snapshot.Source{{Path: dir}, {Path: filepath.Join(dir, "a")}, {Path: filepath.Join(dir, "nosuch")}}
	if got := measure(context.Background(), sources); got != 1200 {
		t.Errorf("%d bytes, want 1200", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if got := measure(ctx, sources); got != 0 {
		t.Errorf("%d bytes after the end", got)
	}
	m := &progress.Meter{}
	estimate(ctx, sources, nil, m)()
	if got := m.Read().Total; got != 0 {
		t.Errorf("an estimate of %d after the end", got)
	}
	sources[0].Name, sources[1].Name = "a", "b"
	before := &manifest.Head{Sources: []manifest.Source{{Name: "a", Bytes: 100}, {Name: "b", Bytes: 1000}, {Name: "c", Bytes: 10000}}}
	if estimate(ctx, sources[:2], before, m)(); m.Read().Total != 1100 {
		t.Errorf("an estimate of %d from the snapshot before, want 1100", m.Read().Total)
	}
	if estimate(ctx, sources, before, m)(); m.Read().Total != 1100 {
		t.Errorf("an estimate of %d, though one was not in the snapshot before", m.Read().Total)
	}
}

// Where there is no room for a bar, there is one line that never wraps.
func TestNarrowBar(t *testing.T) {
	var screen bytes.Buffer
	u := &ui{err: &screen, columns: 20}
	m := &progress.Meter{}
	b := &bar{u: u, m: m}
	m.Begin("capture", 4<<20)
	m.Add(1 << 20)
	b.show()
	u.note("a word between")
	b.show()
	b.finish()
	u.note("the end")
	line := clearLine + "capture 25 %, 1.0 …" + clearLine
	if want := line + "a word between\n" + line + "the end\n"; screen.String() != want {
		t.Errorf("%q, want %q", screen.String(), want)
	}
}
