package inuse_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"lifeboat/internal/inuse"
)

// 50,000 files that nobody has open, in 100 directories.
func BenchmarkLook(b *testing.B) {
	dir := b.TempDir()
	for i := range 100 {
		sub := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(sub, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range 500 {
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprint(j)), nil, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if found, err := inuse.Look([]string{dir}); err != nil || found.Count != 0 {
			b.Fatal(found.Count, err)
		}
	}
}
