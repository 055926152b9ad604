// Package data makes the data that lifeboat is measured on: always the same for the same call, and in shape,
// size and compressibility like that of real applications.
//
//	App          about 930 MiB in 18 files: a chat application's database in WAL mode (messages and their
//	             embeddings), a JSON registry, and a Chroma directory (a database with a full-text index, three
//	             HNSW indexes)
//	Small        50,000 JSON files of 1 to 20 KiB in 1,024 directories, about 300 MiB
//	Big          one database like App's, of about the size asked for
//	Mutate       a day's change to such a database, scattered or at its young end
//
// Embeddings are normalised Gaussian vectors, which hardly compress; text is sentences over a vocabulary with
// Zipf's distribution. Together App compresses at about 1.66:1 with zstd's default level.
package data

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

// App makes the application's directory dir, which must be absent or empty.
func App(dir string) error {
	if err := emptyDirectory(dir); err != nil {
		return err
	}
	for _, d := range []string{"db", "config", "chroma"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := registry(filepath.Join(dir, "config", "registry.json")); err != nil {
		return err
	}
	var g errgroup.Group
	g.Go(func() error { return chat(filepath.Join(dir, "db", "app.sqlite"), 330_000, 1) })
	g.Go(func() error { return chroma(filepath.Join(dir, "chroma")) })
	return g.Wait()
}

// Big makes the directory dir, which must be absent or empty, with the database big.sqlite of about mib MiB.
func Big(dir string, mib int) error {
	if err := emptyDirectory(dir); err != nil {
		return err
	}
	const messagesPerMiB = 508 // with their share of everything else
	return chat(filepath.Join(dir, "big.sqlite"), messagesPerMiB*mib, 2)
}

// emptyDirectory makes dir, and refuses one that holds something.
func emptyDirectory(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("make benchmark data in %s: it is not empty: %w", dir, fs.ErrExist)
	}
	return nil
}

// random returns the generator of one part of the data.
func random(part, seed uint64) *rand.Rand { return rand.New(rand.NewPCG(part, seed)) }

// The parts. Each has its own sequence, so that a change to one leaves the others as they were.
const (
	partVocabulary = iota
	partRegistry
	partChat
	partChroma
	partIndex
	partSmall
	partScatter
	partRecent
	partBulk
)
