package data

import (
	"math"
	"math/rand/v2"
	"os"
)

// Index makes the directory dir, which must be absent, with a persisted HNSW index of so many vectors, some 1.7 KiB each.
func Index(dir string, vectors int, seed uint64) error { return hnsw(dir, vectors, seed) }

// A Recorder writes files like those of Small.
type Recorder struct {
	rnd *rand.Rand
	txt *text
}

// NewRecorder returns a Recorder whose files are others than those of another seed.
func NewRecorder(seed uint64) *Recorder {
	rnd := random(partSmall, seed)
	return &Recorder{rnd, newText(rnd)}
}

// Write writes the next one, of 1 to 20 KiB, 6 on average.
func (r *Recorder) Write(path string) error {
	size := 1024 + int(19*1024*math.Pow(r.rnd.Float64(), 2.7)) // half of them under 4 KiB
	return os.WriteFile(path, records(r.rnd, r.txt, size), 0o644)
}
