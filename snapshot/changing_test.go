//go:build unix

package snapshot_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lifeboat/internal/snaptest"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// A changing is a directory with one large file, "live", that something happens to while it is read.
type changing struct {
	dir, live string
	before    []byte // content of the file
	local     *localstore.Store
	res       *snapshot.Result
	target    string // what was restored of the directory
	lines     map[string]*manifest.File
}

// change captures the directory, with meanwhile running while the file is read, and restores what was captured.
func change(t *testing.T, meanwhile func(c *changing)) *changing {
	t.Helper()
	c := newChanging(t)
	c.take(t, meanwhile)
	return c
}

func newChanging(t *testing.T) *changing {
	t.Helper()
	c := &changing{dir: t.TempDir(), local: snaptest.Local(t)}
	c.live = filepath.Join(c.dir, "live")
	snaptest.WriteFile(t, c.live, snaptest.Behind, snaptest.Random, 9)
	c.before = read(t, c.live)
	return c
}

func (c *changing) take(t *testing.T, meanwhile func(c *changing)) {
	t.Helper()
	gate := &snaptest.Gate{Target: c.local, Meanwhile: func() { meanwhile(c) }}
	c.res = snaptest.Take(t, gate, snapshot.Options{}, snaptest.Directory("data", c.dir))
	snaptest.Validate(t, c.res.ID, c.local.Store)
	c.target = filepath.Join(snaptest.Restore(t, c.res.ID, restore.Options{}, c.local.Store), "data")
	c.lines = map[string]*manifest.File{}
	for f, err := range snaptest.Open(t, c.res.ID, c.local.Store).Files(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		c.lines[f.Path] = f
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// kinds returns the kinds of the problems that the head lists.
func kinds(h *manifest.Head) []string {
	var list []string
	for _, p := range h.Problems {
		list = append(list, p.Kind)
	}
	slices.Sort(list)
	return list
}

// want checks what the manifest says.
func (c *changing) want(t *testing.T, mark string, level func(manifest.Level) bool, problems ...string) {
	t.Helper()
	h := c.res.Head
	if f := c.lines["data/live"]; f == nil || f.Marked != mark {
		t.Errorf("the line of the file is %+v, want the mark %q", f, mark)
	}
	if got := kinds(h); !slices.Equal(got, problems) {
		t.Errorf("problems %+v, want %q", h.Problems, problems)
	}
	if h.State != manifest.Complete {
		t.Errorf("state %s", h.State)
	}
	if !level(h.Consistency.Level) {
		t.Errorf("consistency %+v", h.Consistency)
	}
}

func sound(l manifest.Level) bool { return l == manifest.Transactional || l == manifest.Stable }
func fuzzy(l manifest.Level) bool { return l == manifest.Fuzzy }

func write(t *testing.T, path string, off int64, data []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt(data, off)
	must(t, err)
	must(t, f.Close())
}

// A file that changes once while it is read, and then rests, is captured as it is then: no mark, and the metadata fits.
func TestFileThatSettles(t *testing.T) {
	tests := map[string]func(t *testing.T, c *changing){
		"grown":              func(t *testing.T, c *changing) { write(t, c.live, snaptest.Behind, []byte("more")) },
		"truncated":          func(t *testing.T, c *changing) { must(t, os.Truncate(c.live, 12345)) },
		"emptied":            func(t *testing.T, c *changing) { must(t, os.Truncate(c.live, 0)) },
		"changed before":     func(t *testing.T, c *changing) { write(t, c.live, 10, []byte("changed")) },
		"changed behind":     func(t *testing.T, c *changing) { write(t, c.live, snaptest.Behind-10, []byte("changed")) },
		"truncated in place": func(t *testing.T, c *changing) { must(t, os.WriteFile(c.live, []byte("{}"), 0)) },
		"mode":               func(t *testing.T, c *changing) { must(t, os.Chmod(c.live, 0o640)) },
	}
	for name, meanwhile := range tests {
		t.Run(name, func(t *testing.T) {
			c := change(t, func(c *changing) { meanwhile(t, c) })
			c.want(t, "", sound)
			same(t, snaptest.Walk(t, c.live), snaptest.Walk(t, filepath.Join(c.target, "live")), 0)
		})
	}
}

// A file whose name goes away while it is read was there, and is captured.
func TestFileThatLosesItsName(t *testing.T) {
	tests := map[string]func(t *testing.T, c *changing){
		"replaced": func(t *testing.T, c *changing) {
			must(t, os.WriteFile(c.live+".new", []byte("new"), 0o600))
			must(t, os.Rename(c.live+".new", c.live))
		},
		"removed": func(t *testing.T, c *changing) { must(t, os.Remove(c.live)) },
		"renamed": func(t *testing.T, c *changing) { must(t, os.Rename(c.live, c.live+"2")) },
	}
	for name, meanwhile := range tests {
		t.Run(name, func(t *testing.T) {
			c := change(t, func(c *changing) { meanwhile(t, c) })
			c.want(t, "", sound)
			if !bytes.Equal(read(t, filepath.Join(c.target, "live")), c.before) {
				t.Error("the file is not what it was")
			}
		})
	}
}

// A file that is appended to without an end is captured up to where it was at some moment.
func TestFileThatGrows(t *testing.T) {
	for _, start := range []int64{0, 100, 3 << 20} {
		c := &changing{dir: t.TempDir(), local: snaptest.Local(t)}
		c.live = filepath.Join(c.dir, "live")
		for try := 0; ; try++ {
			snaptest.WriteFile(t, c.live, start, snaptest.Random, 9)
			stop, done := make(chan struct{}), make(chan error)
			go func() { done <- appendTo(c.live, stop) }()
			opts := snapshot.Options{Stamp: manifest.StampOf(snaptest.Stamp.Time().AddDate(0, 0, try))}
			res := snaptest.Take(t, c.local, opts, snaptest.Directory("data", c.dir))
			close(stop)
			must(t, <-done)
			snaptest.Validate(t, res.ID, c.local.Store)
			target := filepath.Join(snaptest.Restore(t, res.ID, restore.Options{}, c.local.Store), "data")
			f := lineOf(t, c, res, "data/live")
			all, got := read(t, c.live), read(t, filepath.Join(target, "live"))
			if !bytes.HasPrefix(all, got) || int64(len(got)) < start {
				t.Fatalf("%d bytes were captured that are not the beginning of the %d that there are", len(got), len(all))
			}
			if res.Head.State != manifest.Complete {
				t.Fatalf("state %s", res.Head.State)
			}
			switch problems := kinds(res.Head); f.Marked {
			case manifest.MarkGrew:
				if !slices.Equal(problems, []string{"grew"}) || !sound(res.Head.Consistency.Level) {
					t.Fatalf("problems %+v, consistency %+v", res.Head.Problems, res.Head.Consistency)
				}
			case manifest.MarkChanged: // the writer was held up between two reads, and not during the third
				if !slices.Equal(problems, []string{"changed"}) || !fuzzy(res.Head.Consistency.Level) {
					t.Fatalf("problems %+v, consistency %+v", res.Head.Problems, res.Head.Consistency)
				}
			default:
				if len(problems) > 0 || !sound(res.Head.Consistency.Level) {
					t.Fatalf("problems %+v, consistency %+v", res.Head.Problems, res.Head.Consistency)
				}
			}
			if f.Marked == manifest.MarkGrew {
				break
			}
			if try == 20 {
				t.Fatalf("a file that is appended to all the while was never marked")
			}
		}
	}
}

// appendTo appends to a file until stop is closed, but no more than some 100 MiB.
func appendTo(path string, stop <-chan struct{}) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	random := rand.New(rand.NewPCG(1, 1))
	line := make([]byte, 200)
	for range 500_000 {
		for i := range line {
			line[i] = byte(random.Uint32())
		}
		if _, err := f.Write(line); err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		default:
		}
	}
	<-stop
	return nil
}

func lineOf(t *testing.T, c *changing, res *snapshot.Result, path string) *manifest.File {
	t.Helper()
	for f, err := range snaptest.Open(t, res.ID, c.local.Store).Files(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if f.Path == path {
			return f
		}
	}
	t.Fatalf("no line of %s", path)
	return nil
}

// A file that is rewritten in place without an end is captured somehow, and the snapshot says so.
func TestFileThatDoesNotSettle(t *testing.T) {
	c := &changing{dir: t.TempDir(), local: snaptest.Local(t)}
	c.live = filepath.Join(c.dir, "live")
	snaptest.WriteFile(t, c.live, 4<<20, snaptest.Random, 9)
	for try := 1; ; try++ {
		stop, done := make(chan struct{}), make(chan error)
		go func() { done <- rewrite(c.live, stop) }()
		c.take(t, func(*changing) {})
		close(stop)
		must(t, <-done)
		if c.lines["data/live"].Marked != "" {
			break
		}
		if try == 20 { // the writer was held up each time
			t.Fatal("a file that is rewritten all the while was never marked")
		}
		c.local = snaptest.Local(t)
	}
	c.want(t, manifest.MarkChanged, fuzzy, "changed")
	if f := c.lines["data/live"]; f.Size != 4<<20 {
		t.Errorf("size %d", f.Size)
	}
	for _, s := range c.res.Head.Sources {
		if s.Consistency != manifest.Fuzzy {
			t.Errorf("source %+v", s)
		}
	}
}

func rewrite(path string, stop <-chan struct{}) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for n := byte(0); ; n++ {
		for at := int64(0); at < 4<<20; at += 64 << 10 {
			if _, err := f.WriteAt(bytes.Repeat([]byte{n, byte(at >> 16)}, 100), at); err != nil {
				return err
			}
			select {
			case <-stop:
				return nil
			default:
			}
		}
	}
}

// When a file is read again, only what has changed is packed again.
func TestSecondReadPacksOnlyDifferences(t *testing.T) {
	const chunks = 3
	c := change(t, func(c *changing) {
		for i := range int64(chunks) {
			write(t, c.live, i*5<<20, []byte("changed"))
		}
	})
	c.want(t, "", sound)
	same(t, snaptest.Walk(t, c.live), snaptest.Walk(t, filepath.Join(c.target, "live")), 0)
	var packed int64
	for a, err := range snaptest.Open(t, c.res.ID, c.local.Store).Archives(t.Context()) {
		must(t, err)
		packed += a.Data
	}
	if want := int64(snaptest.Behind + chunks*64<<10); packed < snaptest.Behind || packed > want {
		t.Errorf("%d bytes were packed, want at most %d", packed, want)
	}
}

// The same for a database that nobody had open, so that it was read without a lock. It is noticed while the other program is at work, so that the
// state that is captured in the end may be the one before its commit.
func TestDatabaseThatIsOpenedMeanwhile(t *testing.T) {
	c := &changing{dir: t.TempDir(), local: snaptest.Local(t)}
	c.live = filepath.Join(c.dir, "live")
	db := database(t, c.live, 4096, true)
	_, err := db.Exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<9) INSERT INTO t SELECT 10000+i, printf('%.*c', 4000000, 'x') FROM n")
	must(t, err)
	must(t, db.Close())
	c.before = read(t, c.live)
	c.take(t, func(c *changing) {
		db := openDatabase(t, c.live)
		_, err := db.Exec("UPDATE t SET body=randomblob(200) WHERE id=1")
		must(t, err)
		must(t, db.Close())
	})
	c.want(t, "", sound)
	if a, b := content(t, c.live), content(t, filepath.Join(c.target, "live")); a != b {
		t.Errorf("the database has %s, what was captured %s", a, b)
	}
	if sum := c.lines["data/live"].SHA256; sum != sha256.Sum256(read(t, c.live)) && sum != sha256.Sum256(c.before) {
		t.Error("what was captured is neither what was there nor what is")
	}
	var packed int64
	for a, err := range snaptest.Open(t, c.res.ID, c.local.Store).Archives(t.Context()) {
		must(t, err)
		packed += a.Data
	}
	if packed > int64(len(c.before))+1<<20 {
		t.Errorf("%d bytes were packed of a database of %d", packed, len(c.before))
	}
}

// What is listed and then gone is the life of a live directory: it is counted, and the snapshot is complete.
func TestVanished(t *testing.T) {
	c := &changing{dir: t.TempDir(), local: snaptest.Local(t)}
	c.live = filepath.Join(c.dir, "live")
	snaptest.WriteFile(t, c.live, snaptest.Behind, snaptest.Random, 9)
	must(t, os.MkdirAll(filepath.Join(c.dir, "z", "sub", "deep"), 0o755))
	must(t, os.WriteFile(filepath.Join(c.dir, "z", "sub", "file"), nil, 0o600))
	for _, name := range []string{"m", "n.json", "o"} {
		must(t, os.WriteFile(filepath.Join(c.dir, name), []byte(name), 0o600))
	}
	must(t, os.Symlink("m", filepath.Join(c.dir, "p")))
	c.take(t, func(c *changing) {
		for _, name := range []string{"m", "n.json", "p", "z"} {
			must(t, os.RemoveAll(filepath.Join(c.dir, name)))
		}
	})
	c.want(t, "", sound, "vanished", "vanished", "vanished", "vanished")
	if len(c.lines) != 3 || c.lines["data/o"] == nil {
		t.Errorf("lines %v", c.lines)
	}
}

// A source that is replaced as a whole is a mistake, not a state.
func TestReplacedSource(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "app")
	must(t, os.Mkdir(dir, 0o755))
	snaptest.WriteFile(t, filepath.Join(dir, "live"), snaptest.Behind, snaptest.Random, 9)
	for _, again := range []bool{true, false} {
		local := snaptest.Local(t)
		gate := &snaptest.Gate{Target: local, Meanwhile: func() {
			must(t, os.Rename(dir, dir+".old"))
			if again {
				must(t, os.Mkdir(dir, 0o755))
			}
		}}
		_, err := snapshot.Take(t.Context(), []snapshot.Source{snaptest.Directory("data", dir)}, snaptest.Fill(gate, snapshot.Options{}))
		if err == nil || !strings.Contains(err.Error(), "run the backup again") {
			t.Errorf("Take = %v", err)
		}
		if list := snaptest.ValidateAll(t, local.Store); len(list) > 0 {
			t.Errorf("%d snapshots", len(list))
		}
		must(t, os.RemoveAll(dir))
		must(t, os.Rename(dir+".old", dir))
	}
}

// A single file that programs replace by rename is captured as it was.
func TestReplacedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live")
	snaptest.WriteFile(t, path, snaptest.Behind, snaptest.Random, 9)
	before := read(t, path)
	local := snaptest.Local(t)
	gate := &snaptest.Gate{Target: local, Meanwhile: func() {
		must(t, os.WriteFile(path+".new", []byte("new"), 0o600))
		must(t, os.Rename(path+".new", path))
	}}
	res := snaptest.Take(t, gate, snapshot.Options{}, snapshot.Source{Name: "file", Path: path})
	snaptest.Validate(t, res.ID, local.Store)
	target := snaptest.Restore(t, res.ID, restore.Options{}, local.Store)
	if !bytes.Equal(read(t, filepath.Join(target, "file", "live")), before) || res.Head.State != manifest.Complete {
		t.Errorf("not what it was; state %s", res.Head.State)
	}
}

// What cannot be read leaves the snapshot incomplete, or makes the capture fail when there is nothing else.
func TestMissingSources(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "x"), []byte("x"), 0o600))
	gone := snapshot.Source{Name: "gone", Path: filepath.Join(dir, "gone")}
	local := snaptest.Local(t)
	res := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("data", dir), gone)
	snaptest.Validate(t, res.ID, local.Store)
	if res.Head.State != manifest.Incomplete || !slices.Equal(kinds(res.Head), []string{"missing"}) || len(res.Head.Sources) != 1 {
		t.Errorf("state %s, problems %+v, sources %+v", res.Head.State, res.Head.Problems, res.Head.Sources)
	}
	_, err := snapshot.Take(t.Context(), []snapshot.Source{gone}, snaptest.Fill(local, snapshot.Options{}))
	if err == nil || errors.Is(err, snaptest.ErrFault) {
		t.Errorf("Take = %v", err)
	}
	gone.Optional = true
	_, err = snapshot.Take(t.Context(), []snapshot.Source{gone}, snaptest.Fill(local, snapshot.Options{}))
	if err == nil {
		t.Error("an optional source that is not there made a snapshot")
	}
}
