//go:build unix

package snapshot_test

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"lifeboat/internal/snaptest"
	"lifeboat/internal/sqlitedb"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// A vectorStore behaves as Chroma does when it persists an index: files are rewritten in place, one after the other, then the database is told, and
// drops what it held for the index until then. Each file shows its generation everywhere, so that a mix of two is seen.
type vectorStore struct {
	t     *testing.T
	dir   string
	index string // a directory
	db    *sql.DB
	gen   int // that the index has, or is about to have
	next  int // step of the persist
}

const elementBytes = 1 << 10

func newVectorStore(t *testing.T) *vectorStore {
	t.Helper()
	v := &vectorStore{t: t, dir: t.TempDir()}
	v.index = filepath.Join(v.dir, "0b9f3a1e-0000-4000-8000-000000000001") // read before the database, by its name
	if err := os.Mkdir(v.index, 0o755); err != nil {
		t.Fatal(err)
	}
	var err error
	if v.db, err = sqlitedb.OpenApp(filepath.Join(v.dir, "chroma.sqlite3")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.db.Close() })
	v.exec(`PRAGMA journal_mode=WAL`)
	v.exec(`CREATE TABLE queue(gen INTEGER PRIMARY KEY); CREATE TABLE max_seq_id(gen INTEGER); INSERT INTO max_seq_id VALUES(0)`)
	for range len(v.steps()) {
		v.step()
	}
	return v
}

func (v *vectorStore) exec(q string, args ...any) {
	if _, err := v.db.Exec(q, args...); err != nil {
		v.t.Error(err)
	}
}

// steps are those of one persist, in the order of Chroma's.
func (v *vectorStore) steps() []func() {
	write := func(name string, data []byte) func() {
		return func() {
			f, err := os.OpenFile(filepath.Join(v.index, name), os.O_WRONLY|os.O_CREATE, 0o644)
			if err == nil {
				_, err = f.WriteAt(data, 0)
				f.Close()
			}
			if err != nil {
				v.t.Error(err)
			}
		}
	}
	level0 := bytes.Repeat(binary.LittleEndian.AppendUint64(nil, uint64(v.gen)), 300+v.gen)
	level0 = append(level0, make([]byte, (300+v.gen)*elementBytes-len(level0))...)
	header := make([]byte, 100)
	binary.LittleEndian.PutUint32(header, 1)
	binary.LittleEndian.PutUint64(header[4+16:], uint64(300+v.gen))
	binary.LittleEndian.PutUint64(header[4+24:], elementBytes)
	return []func(){
		func() { v.gen++; v.exec(`INSERT INTO queue VALUES(?)`, v.gen) },
		write("header.bin", header),
		write("data_level0.bin", level0),
		write("length.bin", bytes.Repeat(binary.LittleEndian.AppendUint64(nil, uint64(v.gen)), 40_000)),
		func() {
			tmp, pickle := filepath.Join(v.index, "tmp"), filepath.Join(v.index, "index_metadata.pickle")
			if err := os.WriteFile(tmp, fmt.Append(nil, v.gen), 0o644); err != nil {
				v.t.Error(err)
			}
			if err := os.Rename(tmp, pickle); err != nil {
				v.t.Error(err)
			}
		},
		func() { v.exec(`UPDATE max_seq_id SET gen=?`, v.gen) },
		func() { v.exec(`DELETE FROM queue WHERE gen <= ?`, v.gen) },
	}
}

func (v *vectorStore) step() {
	v.steps()[v.next]()
	v.next = (v.next + 1) % 7
}

// loads fails the test if the application could not start from a directory, or would have lost a vector.
func (v *vectorStore) loads(dir string) error {
	index := filepath.Join(dir, filepath.Base(v.index))
	files := map[string][]byte{}
	for _, name := range []string{"header.bin", "data_level0.bin", "length.bin", "index_metadata.pickle"} {
		var err error
		if files[name], err = os.ReadFile(filepath.Join(index, name)); err != nil {
			return err
		}
	}
	gen := int(binary.LittleEndian.Uint64(files["length.bin"]))
	for name, has := range map[string]int{
		"header.bin": int(binary.LittleEndian.Uint64(files["header.bin"][20:])) - 300, "data_level0.bin": int(binary.LittleEndian.Uint64(files["data_level0.bin"])),
	} {
		if has != gen {
			return fmt.Errorf("%s is of generation %d, length.bin of %d", name, has, gen)
		}
	}
	if want := bytes.Repeat(binary.LittleEndian.AppendUint64(nil, uint64(gen)), 40_000); !bytes.Equal(files["length.bin"], want) {
		return fmt.Errorf("length.bin is torn")
	}
	db, err := sqlitedb.OpenApp(filepath.Join(dir, "chroma.sqlite3"))
	if err != nil {
		return err
	}
	defer db.Close()
	var told, first, last int
	if err := db.QueryRow(`SELECT gen, coalesce((SELECT min(gen) FROM queue), gen+1), coalesce((SELECT max(gen) FROM queue), gen) FROM max_seq_id`).Scan(&told, &first, &last); err != nil {
		return err
	}
	if gen < first-1 {
		return fmt.Errorf("the index has generation %d, and the queue begins with %d: what was between is lost", gen, first)
	}
	if gen > max(last, told) {
		return fmt.Errorf("the index has generation %d, of which the database, at %d, knows nothing", gen, max(last, told))
	}
	return nil
}

// takeWhile captures the store; the application does one step with each archive that is stored, steps of them in all. It returns the problems that make
// the snapshot incomplete.
func (v *vectorStore) takeWhile(steps int) (torn []manifest.Problem, loads error) {
	v.t.Helper()
	local := snaptest.Local(v.t)
	res := snaptest.Take(v.t, local, snapshot.Options{ArchiveLimit: 1, Stored: func(*manifest.Archive) error {
		if steps > 0 {
			steps--
			v.step()
		}
		return nil
	}}, snaptest.Directory("vectors", v.dir))
	for _, p := range res.Head.Problems {
		if p.Kind == "torn" {
			torn = append(torn, p)
		}
	}
	if (len(torn) > 0) != (res.Head.State == manifest.Incomplete) {
		v.t.Errorf("%s, with %+v", res.Head.State, res.Head.Problems)
	}
	r := snaptest.Validate(v.t, res.ID, local.Store)
	dir := snaptest.Restore(v.t, res.ID, restore.Options{}, local.Store)
	defer os.RemoveAll(dir)
	if n := countFiles(v.t, filepath.Join(dir, "vectors")); int64(n) != r.Files {
		v.t.Errorf("%d files and directories were restored, and there are %d in the table", n, r.Files)
	}
	return torn, v.loads(filepath.Join(dir, "vectors"))
}

func countFiles(t *testing.T, dir string) (n int) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(string, fs.DirEntry, error) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// A vector store is one state, or said not to be one, wherever in its persisting it is met.
func TestVectorStoreAtWork(t *testing.T) {
	v := newVectorStore(t)
	for steps := range 16 { // two persists, and so at most three readings that are disturbed
		torn, err := v.takeWhile(steps)
		if len(torn) == 0 && err != nil {
			t.Errorf("after %d steps: %v", steps, err)
		}
		if len(torn) > 0 && v.next == 0 {
			t.Errorf("after %d steps it rested, and is torn: %+v", steps, torn)
		}
		for v.next != 0 { // the process ends its work
			v.step()
		}
	}
}

// One that never rests is torn, incomplete, and said so; if it happens to be captured whole, it loads.
func TestVectorStoreThatNeverRests(t *testing.T) {
	v := newVectorStore(t)
	for try := 1; ; try++ {
		var torn []manifest.Problem
		var err error
		atWork(t, func(int) error { v.step(); return nil }, func() { torn, err = v.takeWhile(0) })
		if len(torn) > 0 {
			if len(torn) != 1 || !strings.Contains(torn[0].Detail, "Chroma") || torn[0].Path != "vectors" {
				t.Errorf("%+v", torn)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if try == tries {
			t.Fatal("a store at work was never torn")
		}
	}
}

// tries is how often something is tried that fails to be hindered only while whoever hinders it is held up.
const tries = 100

// Index files that do not belong together are no store that was at rest.
func TestVectorStoreThatDoesNotLoad(t *testing.T) {
	for name, break_ := range map[string]func(v *vectorStore) error{
		"short": func(v *vectorStore) error { return os.Truncate(filepath.Join(v.index, "data_level0.bin"), 1000) },
		"header": func(v *vectorStore) error {
			return os.Truncate(filepath.Join(v.index, "header.bin"), 10)
		},
		"pickle": func(v *vectorStore) error { return os.Remove(filepath.Join(v.index, "index_metadata.pickle")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVectorStore(t)
			if err := break_(v); err != nil {
				t.Fatal(err)
			}
			res := snaptest.Take(t, snaptest.Local(t), snapshot.Options{}, snaptest.Directory("vectors", v.dir))
			if res.Head.State != manifest.Incomplete || len(res.Head.Problems) != 1 || res.Head.Problems[0].Kind != "torn" || !strings.Contains(res.Head.Problems[0].Detail, filepath.Base(v.index)) {
				t.Errorf("%+v", res.Head.Problems)
			}
		})
	}
}

// What else lies beside a store, and changes all the time, does not keep it from resting.
func TestVectorStoreBesideALog(t *testing.T) {
	v := newVectorStore(t)
	log := filepath.Join(v.dir, "server", "access.txt")
	if err := os.Mkdir(filepath.Dir(log), 0o755); err != nil {
		t.Fatal(err)
	}
	n := 0
	res := snaptest.Take(t, snaptest.Local(t), snapshot.Options{ArchiveLimit: 1, Stored: func(*manifest.Archive) error {
		n++
		return os.WriteFile(log, []byte(uuid.NewString()), 0o644)
	}}, snaptest.Directory("vectors", v.dir))
	if n == 0 || res.Head.State != manifest.Complete {
		t.Errorf("after %d writes: %+v", n, res.Head.Problems)
	}
}

// An index that was persisted between the pin of its database, which comes before the walk, and the walk's first look at it is not of that state.
func TestVectorStoreThatChangesAfterThePin(t *testing.T) {
	v := newVectorStore(t)
	dir := t.TempDir()
	snaptest.WriteFile(t, filepath.Join(dir, "before"), snaptest.Behind, snaptest.Random, 9)
	must(t, os.Rename(v.dir, filepath.Join(dir, "vectors")))
	v.dir = filepath.Join(dir, "vectors")
	v.index = filepath.Join(v.dir, filepath.Base(v.index))
	settle()
	local := snaptest.Local(t)
	gate := &snaptest.Gate{Target: local, Meanwhile: func() {
		for range v.steps() {
			v.step()
		}
	}}
	res := snaptest.Take(t, gate, snapshot.Options{}, snaptest.Directory("data", dir))
	if res.Head.State != manifest.Complete {
		t.Errorf("%+v", res.Head.Problems)
	}
	if err := v.loads(filepath.Join(snaptest.Restore(t, res.ID, restore.Options{}, local.Store), "data", "vectors")); err != nil {
		t.Error(err)
	}
}
