package manifest_test

import (
	"testing"

	"lifeboat/manifest"
)

const benchLines = 50_000

func BenchmarkWriteFiles(b *testing.B) {
	files := tree("data", benchLines)
	b.ReportAllocs()
	for b.Loop() {
		var bytes int
		w := manifest.NewFileTable(func(_ string, piece []byte) error { bytes += len(piece); return nil })
		for _, f := range files {
			if err := w.AddFile(f); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(bytes))
	}
	b.ReportMetric(float64(benchLines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

func BenchmarkReadFiles(b *testing.B) {
	s := new(store)
	h := s.snapshot(b, tree("data", benchLines), nil)
	b.ReportAllocs()
	for b.Loop() {
		s.fetched = 0
		for _, err := range h.AllFiles(s.Fetch) {
			if err != nil {
				b.Fatal(err)
			}
		}
		b.SetBytes(s.fetched)
	}
	b.ReportMetric(float64(benchLines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

func BenchmarkReadMap(b *testing.B) {
	var extents []manifest.Extent
	for i := range int64(4096) {
		extents = append(extents, manifest.Extent{Archive: hashOf("data", i/1000), Off: i * 8192, Len: 4096})
	}
	data, err := manifest.EncodeMap(extents)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := manifest.ParseMap(data, manifest.MapSpan); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteMap(b *testing.B) {
	var extents []manifest.Extent
	for i := range int64(4096) {
		extents = append(extents, manifest.Extent{Archive: hashOf("data", i/1000), Off: i * 8192, Len: 4096})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := manifest.EncodeMap(extents); err != nil {
			b.Fatal(err)
		}
	}
}
