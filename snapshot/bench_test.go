package snapshot_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// benchData returns a directory to measure with: the one that LIFEBOAT_BENCH_DIR names, else 5,000 small files.
func benchData(b *testing.B) string {
	if dir := os.Getenv("LIFEBOAT_BENCH_DIR"); dir != "" {
		return dir
	}
	dir := b.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 5000 {
		name := filepath.Join(dir, fmt.Sprintf("%02x", i%50), fmt.Sprintf("%04x.json", i))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			b.Fatal(err)
		}
		data := fmt.Appendf(nil, `{"n":%d,"text":"%x"}`, i, random.Perm(random.IntN(800)))
		if err := os.WriteFile(name, data, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

func BenchmarkTake(b *testing.B) {
	dir := benchData(b)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		path := b.TempDir()
		local, _, err := localstore.Prepare(b.Context(), path, "bench", nil)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		res, err := snapshot.Take(b.Context(), []snapshot.Source{{Name: "data", Path: dir}}, snapshot.Options{
			App: "bench", Stamp: "20260102T030405Z", Target: local,
		})
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(res.Head.Files.Bytes)
		b.ReportMetric(float64(res.Head.Files.Count), "files")
		b.StopTimer()
		if err := os.RemoveAll(path); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// What a snapshot costs in which nothing changed.
func BenchmarkTakeUnchanged(b *testing.B) {
	dir := benchData(b)
	time.Sleep(2100 * time.Millisecond) // so that what the files look like proves something
	path := b.TempDir()
	local, _, err := localstore.Prepare(b.Context(), path, "bench", nil)
	if err != nil {
		b.Fatal(err)
	}
	before := filepath.Join(b.TempDir(), "base")
	take := func(stamp manifest.Stamp, base *snapshot.Base) {
		next, err := os.Create(before + ".next")
		if err != nil {
			b.Fatal(err)
		}
		defer next.Close()
		res, err := snapshot.Take(b.Context(), []snapshot.Source{{Name: "data", Path: dir}}, snapshot.Options{
			App: "bench", Stamp: stamp, Target: local, Base: base, NextBase: next,
		})
		if err != nil || res.NextBase != nil {
			b.Fatal(err, res.NextBase)
		}
		b.ReportMetric(float64(res.Head.Files.Count), "files")
		if base != nil && res.Head.Stats.NewBytes > 0 {
			b.Fatalf("%d bytes are new", res.Head.Stats.NewBytes)
		}
		if err := os.Rename(before+".next", before); err != nil {
			b.Fatal(err)
		}
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	take(manifest.StampOf(at), nil)
	b.ReportAllocs()
	for b.Loop() {
		base, err := snapshot.OpenBase(before)
		if err != nil {
			b.Fatal(err)
		}
		base.LeanOn(func(*snapshot.BaseArchive) bool { return true })
		at = at.Add(time.Second)
		take(manifest.StampOf(at), base)
		base.Close()
	}
}

func BenchmarkRestore(b *testing.B) {
	dir := benchData(b)
	local, _, err := localstore.Prepare(b.Context(), b.TempDir(), "bench", nil)
	if err != nil {
		b.Fatal(err)
	}
	res, err := snapshot.Take(b.Context(), []snapshot.Source{{Name: "data", Path: dir}}, snapshot.Options{
		App: "bench", Stamp: manifest.Stamp("20260102T030405Z"), Target: local,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(res.Head.Files.Bytes)
	b.ReportAllocs()
	for b.Loop() {
		s, err := layout.OpenSnapshot(b.Context(), res.ID, 2, local.Store)
		if err != nil {
			b.Fatal(err)
		}
		target := filepath.Join(b.TempDir(), "target")
		if _, err := restore.Run(b.Context(), s, restore.Options{Target: target}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := os.RemoveAll(target); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
