// Package sampleapp is a small application to back up: what "lifeboat demo" runs, and what tests use as
// a real writer. Its state is of the three kinds that lifeboat is made for,
//
//	app.db           a SQLite database in WAL mode: accounts, the transfers between them, messages
//	registry.json    a JSON file that is replaced by rename now and then
//	chroma/          a vector store in the manner of Chroma: chroma.sqlite3 in rollback-journal mode, and
//	                 the directory of one segment with header.bin, data_level0.bin, length.bin,
//	                 link_lists.bin and index_metadata.pickle
//
// and it can tell a good copy of it from a bad one ([Verify]): money is only moved, so the sum of all
// balances never changes; each balance is what the transfers make of it; the registry and the vector
// files say of themselves how they must look.
package sampleapp

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"lifeboat/internal/durable"
)

// The parts of the application, below its directory.
const (
	DatabaseName = "app.db"
	RegistryName = "registry.json"
	ChromaName   = "chroma"
)

// What Create makes. Messages and transfers grow, the rest stays.
const (
	Accounts = 1000
	Opening  = 10_000              // what each account holds at first, in cents
	Total    = Accounts * Opening  // the sum of all balances, always
	Vectors  = 2000                // elements of the vector store
	messages = 8000                // about 1.6 MB of text
	moved    = 2000                // transfers that there are from the start
	stream   = 0x6c696665_626f6174 // second half of the random generator's seed
)

// Create makes the application in dir, a few megabytes, and makes dir if it is missing. Everything in
// it follows from the seed, byte for byte. It fails with fs.ErrExist when dir has a database already;
// on another failure, what was made so far is left behind.
func Create(ctx context.Context, dir string, seed uint64) error {
	path := filepath.Join(dir, DatabaseName)
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("create sample application: %w", &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist})
	}
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("create sample application: %w", err)
	}
	random := rand.New(rand.NewPCG(seed, stream))
	owners := newOwners(random)
	if err := createDatabase(ctx, path, owners, random); err != nil {
		return fmt.Errorf("create sample application: %s: %w", DatabaseName, err)
	}
	collection := newUUID(random)
	if err := createChroma(ctx, filepath.Join(dir, ChromaName), collection, random); err != nil {
		return fmt.Errorf("create sample application: %s: %w", ChromaName, err)
	}
	r := registry{
		Application: "sample", Version: 1, Total: Total, Collection: collection, Vectors: Vectors,
		Transfers: moved, Owners: owners,
	}
	if err := r.write(dir); err != nil {
		return fmt.Errorf("create sample application: %w", err)
	}
	return nil
}

// newUUID returns a random UUID (version 4).
func newUUID(random *rand.Rand) string {
	b := randomBytes(random, 16)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func randomBytes(random *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}
