//go:build unix

package snapshot_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lifeboat/internal/snaptest"
	"lifeboat/internal/xattr"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// Small files that are written, replaced, removed and turned into links all the while are captured as they were at one time each, and nothing is from outside
// of the source. Those that rest come back as they are.
func TestSmallFilesUnderAttack(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "outside")
	must(t, os.WriteFile(outside, []byte("outside"), 0o644))
	dir := t.TempDir()
	path := func(n int) string { return filepath.Join(dir, fmt.Sprintf("%d", n%7), fmt.Sprintf("%03d", n)) }
	version := func(n, v int) []byte { // of a file, which says the same at its beginning and at its end
		line := fmt.Sprintf("file %03d version %09d\n", n, v)
		return []byte(line + strings.Repeat("x", n*n%9000) + line)
	}
	const files = 300
	for n := range files {
		must(t, os.MkdirAll(filepath.Dir(path(n)), 0o755))
		must(t, os.WriteFile(path(n), version(n, 0), 0o644))
	}
	settle()
	var attackers sync.WaitGroup
	stop := make(chan struct{})
	for seed := range uint64(3) {
		attackers.Go(func() {
			random := rand.New(rand.NewPCG(seed, 7))
			for v := 1; ; v++ {
				select {
				case <-stop:
					return
				default:
				}
				n := random.IntN(files/2)*2 + 1 // those with even numbers rest
				other := fmt.Sprintf("%s.%d", path(n), seed)
				switch random.IntN(6) {
				case 0:
					os.Remove(path(n))
				case 1:
					os.Symlink(outside, other)
					os.Rename(other, path(n))
				case 2:
					os.WriteFile(other, version(n, v), 0o644)
					os.Rename(other, path(n))
				default: // in place, in two steps
					if f, err := os.OpenFile(path(n), os.O_WRONLY|syscall.O_NOFOLLOW, 0); err == nil {
						data := version(n, v)
						f.WriteAt(data[:len(data)/2], 0)
						f.WriteAt(data[len(data)/2:], int64(len(data)/2))
						f.Close()
					}
				}
				if random.IntN(20) == 0 {
					time.Sleep(30 * time.Millisecond) // so that some of them settle
				}
			}
		})
	}
	c := newChain(t, snaptest.Directory("data", dir))
	for range 4 {
		res := c.take(snapshot.Options{})
		target := filepath.Join(snaptest.Restore(t, res.ID, restore.Options{}, c.local.Store), "data")
		rested := 0
		for f, err := range snaptest.Open(t, res.ID, c.local.Store).Files(t.Context()) {
			must(t, err)
			var n int
			name := strings.TrimPrefix(f.Path, "data/")
			if _, err := fmt.Sscanf(filepath.Base(name), "%03d", &n); err != nil || f.Type != manifest.Regular || f.Marked != "" {
				continue
			}
			if strings.Count(filepath.Base(name), ".") == 0 && n%2 == 0 {
				rested++
			}
			got := read(t, filepath.Join(target, name))
			const line = len("file 000 version 000000000\n")
			switch {
			case bytes.Equal(got, []byte("outside")):
				t.Errorf("%s is from outside of the source", name)
			case strings.Contains(filepath.Base(name), "."): // may be empty, before it was written
			case len(got) != len(version(n, 0)) || !bytes.Equal(got[:line], got[len(got)-line:]):
				t.Errorf("%s was at no time as it was captured: %.27q ... %.27q", name, got, got[max(0, len(got)-line):])
			}
		}
		if rested != files/2 {
			t.Errorf("%d of %d files that rest are there", rested, files/2)
		}
	}
	close(stop)
	attackers.Wait()
}

// Small files are captured the same, whatever else they are.
func TestSmallFilesOfAllKinds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := map[string][]byte{"empty": {}, "one": {1}, "zeros": make([]byte, 100_000), "zeros at the end": append([]byte("x"), make([]byte, 70_000)...), "a chunk": bytes.Repeat([]byte("c"), 64<<10),
		"more than a chunk": bytes.Repeat([]byte("m"), 64<<10+1), "the largest": bytes.Repeat([]byte("L"), 128<<10), "larger": bytes.Repeat([]byte("l"), 128<<10+1),
		"linked": []byte("linked"), "attributed": []byte("attributed"), "bad.json": []byte("{"), "good.json": []byte("{}"), "named.json-wal": []byte("no log")}
	for i := range 400 { // more than fit into one batch
		want[fmt.Sprintf("more-%03d", i)] = bytes.Repeat([]byte{byte(i)}, i*17%5000)
	}
	for name, data := range want {
		must(t, os.WriteFile(filepath.Join(dir, name), data, 0o640))
	}
	must(t, os.Link(filepath.Join(dir, "linked"), filepath.Join(dir, "linked again")))
	f, err := os.OpenFile(filepath.Join(dir, "attributed"), os.O_RDWR, 0)
	must(t, err)
	attributed := xattr.Set(f, xattr.Attr{Name: "user.lifeboat", Value: []byte("value")}) == nil
	f.Close()
	outlast()
	c := newChain(t, snaptest.Directory("data", dir))
	for _, opts := range []snapshot.Options{{}, {}, {ReadAll: true}} {
		res := c.take(opts)
		if got := kinds(res.Head); len(got) != 1 || got[0] != "invalid_json" {
			t.Errorf("problems %v, want that of bad.json", got)
		}
		target := filepath.Join(snaptest.Restore(t, res.ID, restore.Options{}, c.local.Store), "data")
		for name, data := range want {
			if got := read(t, filepath.Join(target, name)); !bytes.Equal(got, data) {
				t.Errorf("%s has %d bytes, %.20q, want %d", name, len(got), got, len(data))
			}
		}
		for f, err := range snaptest.Open(t, res.ID, c.local.Store).Files(t.Context()) {
			must(t, err)
			if f.Path == "data/attributed" && (len(f.Xattrs) == 1) != attributed || f.Path == "data/linked again" && f.Type != manifest.Hardlink || f.Type == manifest.Regular && f.Mode != 0o640 {
				t.Errorf("a line is %+v", f)
			}
		}
	}
}
