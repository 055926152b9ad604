//go:build unix

package snapshot_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"
	bolt "go.etcd.io/bbolt"

	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// atWork runs write, again and again, while do runs.
func atWork(t *testing.T, write func(n int) error, do func()) (writes int) {
	t.Helper()
	stop, begun := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := write(writes); err != nil {
				t.Error(err)
				return
			}
			if writes++; writes == 1 {
				close(begun)
			}
		}
	})
	<-begun
	do()
	close(stop)
	wg.Wait()
	return writes
}

// take captures a directory and restores it, and says whether it is torn.
func takeAndRestore(t *testing.T, dir string) (restored string, torn bool) {
	t.Helper()
	local := snaptest.Local(t)
	res := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("data", dir))
	for _, p := range res.Head.Problems {
		torn = torn || p.Kind == "torn"
	}
	if torn != (res.Head.State == manifest.Incomplete) {
		t.Errorf("%s: %+v", res.Head.State, res.Head.Problems)
	}
	return filepath.Join(snaptest.Restore(t, res.ID, restore.Options{}, local.Store), "data"), torn
}

// A bbolt database that is written to all the time is whole, or said to be torn; one that rests is whole.
func TestBolt(t *testing.T) {
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "app.bolt"), 0o644, &bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	put := func(n int) error {
		return db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("b"))
			if err != nil {
				return err
			}
			return b.Put(fmt.Appendf(nil, "%08d", n*7919%5000), make([]byte, 500))
		})
	}
	check := func(restored string) error {
		copy, err := bolt.Open(filepath.Join(restored, "app.bolt"), 0o644, &bolt.Options{ReadOnly: true})
		if err != nil {
			return err
		}
		defer copy.Close()
		return copy.View(func(tx *bolt.Tx) (err error) {
			for e := range tx.Check() {
				err = errors.Join(err, e)
			}
			return err
		})
	}
	for n := range 2000 {
		if err := put(n); err != nil {
			t.Fatal(err)
		}
	}
	if n := atWork(t, put, func() {
		if restored, torn := takeAndRestore(t, dir); !torn {
			if err := check(restored); err != nil {
				t.Errorf("a database at work, which is said to be whole: %v", err)
			}
		}
	}); n < 10 {
		t.Fatalf("only %d writes: this tries nothing", n)
	}
	settle()
	restored, torn := takeAndRestore(t, dir)
	if torn {
		t.Error("a database at rest is said to be torn")
	}
	if err := check(restored); err != nil {
		t.Errorf("a database at rest: %v", err)
	}
}

// A LevelDB that is written to all the time has all that was there before the capture, in order and without a gap, or is said to be torn.
func TestLevelDB(t *testing.T) {
	dir := t.TempDir()
	db, err := leveldb.OpenFile(filepath.Join(dir, "level"), &opt.Options{WriteBuffer: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	put := func(n int) error {
		return db.Put(binary.BigEndian.AppendUint64(nil, uint64(n)), fmt.Appendf(nil, "%0100d", n), nil)
	}
	whole := 0
	for n := range 3000 {
		if err := put(n); err != nil {
			t.Fatal(err)
		}
	}
	written := 3000
	next := func(int) error {
		time.Sleep(time.Millisecond) // else its tables would be rewritten faster than they can be read
		written++
		return put(written - 1)
	}
	for range 4 {
		least := written
		var restored string
		var torn bool
		atWork(t, next, func() { restored, torn = takeAndRestore(t, dir) })
		if torn {
			continue
		}
		whole++
		copy, err := leveldb.OpenFile(filepath.Join(restored, "level"), nil)
		if err != nil {
			t.Errorf("it is said to be whole: %v", err)
			continue
		}
		n := 0
		for it := copy.NewIterator(nil, nil); it.Next(); n++ {
			if got := int(binary.BigEndian.Uint64(it.Key())); got != n || string(it.Value()) != fmt.Sprintf("%0100d", n) {
				t.Fatalf("key %d comes where %d should, with %q", got, n, it.Value())
			}
		}
		if n < least {
			t.Errorf("%d keys came back, and %d were there before the capture", n, least)
		}
		copy.Close()
	}
	if whole == 0 {
		settle()
		if _, torn := takeAndRestore(t, dir); torn {
			t.Error("a database at rest is said to be torn")
		}
	}
	t.Logf("%d of 4 were whole, with %d keys in the end", whole, written)
}

// Stores of engines that are not run here are recognised by their layout, and are one state or said to be torn.
func TestEnginesByLayout(t *testing.T) {
	page := func(off int, magic string) string {
		return strings.Repeat("\x00", off) + magic + strings.Repeat("x", 9000)
	}
	for _, c := range []struct {
		name  string
		files map[string]string // the first is the one that is written to
		live  string
	}{
		{"RocksDB", map[string]string{"db/000012.sst": "sorted", "db/CURRENT": "MANIFEST-000003\n", "db/MANIFEST-000003": "m", "db/000011.log": "l"}, "db/MANIFEST-000003"},
		{"DuckDB", map[string]string{"app.duckdb": page(8, "DUCK"), "app.duckdb.wal": "wal"}, "app.duckdb.wal"},
		{"DuckDB", map[string]string{"alone.file": page(8, "DUCK")}, "alone.file"},
		{"LMDB", map[string]string{"data.mdb": page(16, "\xde\xc0\xef\xbe"), "lock.mdb": "lock"}, "data.mdb"},
		{"Lance", map[string]string{"docs.lance/_versions/1.manifest": "m", "docs.lance/data/a.lance": "d"}, "docs.lance/data/a.lance"},
		{"Qdrant", map[string]string{"raft_state.json": "{}", "collections/a/segments/b/wal": "w"}, "collections/a/segments/b/wal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // most of it waits for a store to come to rest
			dir := t.TempDir()
			for name, content := range c.files {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			settle()
			if _, torn := takeAndRestore(t, dir); torn {
				t.Error("at rest, it is said to be torn")
			}
			live := filepath.Join(dir, c.live)
			f, err := os.OpenFile(live, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			torn := false
			for try := 0; try < tries && !torn; try++ {
				atWork(t, func(n int) error {
					_, err := f.WriteAt([]byte{byte(n)}, int64(len(c.files[c.live])))
					return err
				}, func() { _, torn = takeAndRestore(t, dir) })
			}
			if !torn {
				t.Error("at work, it is said to be whole")
			}
		})
	}
}
