package integration_test

import (
	"bufio"
	"bytes"
	"cmp"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"lifeboat/internal/durable"
	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/internal/sqlitedb"
)

// A faultSource is an application's state that nobody changes, so that a test can say what every snapshot of it must be.
type faultSource struct {
	path string
	tree map[string]snaptest.Entry
}

// newFaultSource makes a directory with what needs different care: a live database in WAL mode, which stays open, one at rest, a file in
// parts, small files, links.
func newFaultSource(t *testing.T) *faultSource {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "app")
	for _, sub := range []string{"db", "files/deep", "empty"} {
		check(t, os.MkdirAll(filepath.Join(dir, sub), 0o755))
	}
	check(t, fill(filepath.Join(dir, "db", "rest.sqlite"), "PRAGMA user_version=7").Close())
	holdDatabase(t, filepath.Join(dir, "db", "live.sqlite"), "PRAGMA journal_mode=WAL;"+someRows)
	check(t, os.WriteFile(filepath.Join(dir, "files", "large"), bytes.Repeat([]byte("one line of many\n"), 70_000), 0o640))
	for i := range 5 {
		check(t, os.WriteFile(filepath.Join(dir, "files", "deep", fmt.Sprint("small ", i)), bytes.Repeat([]byte{byte(i)}, i*100), 0o600))
	}
	check(t, os.Symlink("deep/small 1", filepath.Join(dir, "files", "link")))
	return &faultSource{dir, snaptest.Walk(t, dir)}
}

const rows = 200

// fill makes a database. It panics when it cannot.
func fill(path, pragma string) *sql.DB {
	db, err := sqlitedb.OpenApp(path)
	if err != nil {
		panic(err)
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(pragma + ";" + someRows); err != nil {
		panic(err)
	}
	return db
}

var someRows = fmt.Sprintf("CREATE TABLE t(a); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<%d) INSERT INTO t SELECT printf('row %%d', i) FROM n", rows)

// holderOf makes the test binary a program that opens a database, executes statements, and has it open until its input ends. It must be
// another process: a process that opens a file of a database once more, and be it to hash it, loses its locks when it closes that.
const holderOf = "LIFEBOAT_INTEGRATION_HOLD"

func beHolder(path string) int {
	db, err := sqlitedb.OpenApp(path)
	if err != nil {
		panic(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(os.Getenv(holderOf + "_SQL")); err != nil {
		panic(err)
	}
	fmt.Println("open")
	io.Copy(io.Discard, os.Stdin)
	return 0
}

// holdDatabase starts a program that has a database open, at the latest until the test ends.
func holdDatabase(t *testing.T, path, statements string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), holderOf+"="+path, holderOf+"_SQL="+statements)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "open\n" {
		t.Fatalf("the program that has the database open says %q, %v", line, err)
	}
	return cmd
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// untouched fails the test if anything of the source is not what it was, sidecars and times included.
func (s *faultSource) untouched(t *testing.T) {
	t.Helper()
	got := snaptest.Walk(t, s.path)
	for path, e := range got {
		if strings.HasSuffix(path, "-shm") { // the read marks in it are all that may move
			e.ModTime, e.SHA256 = s.tree[path].ModTime, s.tree[path].SHA256
			got[path] = e
		}
	}
	if d := snaptest.Diff(s.tree, got, 0); d != "" {
		t.Errorf("the source was changed: %s", d)
	}
}

// restoredIn fails the test unless a directory holds what the source does. Of databases the rows count: a WAL is folded into what is captured.
func (s *faultSource) restoredIn(t *testing.T, dir string) {
	t.Helper()
	want, got := map[string]snaptest.Entry{}, snaptest.Walk(t, dir)
	for path, e := range s.tree {
		if strings.HasSuffix(path, "-wal") || strings.HasSuffix(path, "-shm") {
			continue
		}
		if strings.HasSuffix(path, "live.sqlite") {
			e.Size, e.SHA256 = got[path].Size, got[path].SHA256
		}
		want[path] = e
	}
	if d := snaptest.Diff(want, got, 0); d != "" {
		t.Errorf("what was restored is not what was there: %s", d)
	}
	live := filepath.Join(t.TempDir(), "live.sqlite")
	data, err := os.ReadFile(filepath.Join(dir, "db", "live.sqlite"))
	check(t, err)
	check(t, os.WriteFile(live, data, 0o600))
	db, err := sqlitedb.OpenApp(live)
	check(t, err)
	defer db.Close()
	var n int
	if err := db.QueryRow("SELECT count(*) FROM t WHERE a = 'row ' || rowid").Scan(&n); err != nil || n != rows {
		t.Errorf("the live database has %d rows of %d: %v", n, rows, err)
	}
}

// A world is one machine and one remote, in a directory of their own, in which a command is run, comes to harm, and is run again.
type world struct {
	t      *testing.T
	source *faultSource
	root   string
	remote string // as it is given to --remote
	env    []string
	blow   string // what was done last, for messages
}

func newWorld(t *testing.T, source *faultSource) *world {
	t.Helper()
	w := &world{t: t, source: source, root: filepath.Join(t.TempDir(), "world")}
	w.remote = w.path("remote")
	w.env = append(os.Environ(), "HOME="+w.path("home"), "STATE_DIRECTORY="+w.path("store"), "TMPDIR="+w.path("tmp"), "LIFEBOAT_PROGRESS=none", "NO_COLOR=1")
	check(t, os.MkdirAll(w.path("tmp"), 0o700))
	return w
}

func (w *world) path(elem ...string) string {
	return filepath.Join(append([]string{w.root}, elem...)...)
}

// target is where restores go to.
func (w *world) target() string { return w.path("parent", "target") }

// run runs a command that comes to no harm.
func (w *world) run(args ...string) (code int, output string) {
	w.t.Helper()
	cmd := exec.Command(lifeboatBinary(w.t), args...)
	cmd.Env, cmd.Dir = w.env, w.root
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func (w *world) must(args ...string) {
	w.t.Helper()
	if code, out := w.run(args...); code != 0 {
		w.t.Errorf("lifeboat %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
}

// save keeps the state of the world, and reset brings it back.
func (w *world) save() {
	w.t.Helper()
	if out, err := exec.Command("cp", "-a", w.root, w.root+".saved").CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
}

func (w *world) reset() {
	w.t.Helper()
	check(w.t, durable.RemoveAll(w.root))
	if out, err := exec.Command("cp", "-a", w.root+".saved", w.root).CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
}

// manifests returns the snapshots that a store in a directory lists.
func (w *world) manifests(store string) []string {
	var list []string
	entries, _ := os.ReadDir(filepath.Join(store, "manifests"))
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), durable.TempPrefix) {
			list = append(list, e.Name())
		}
	}
	return list
}

// valid fails the test unless all that is listed, wherever that is, validates.
func (w *world) valid() {
	w.t.Helper()
	args := []string{"validate", "--all", "--read-data", "--app", "app"}
	if w.remote != w.path("remote") || len(w.manifests(w.remote)) > 0 {
		args = append(args, "--remote", w.remote)
	} else if len(w.manifests(w.path("store"))) == 0 {
		return // nothing is listed
	}
	if code, out := w.run(args...); code != 0 && code != 10 {
		w.t.Errorf("what is listed does not validate: exit code %d\n%s", code, out)
	}
}

// litter returns what should be nowhere when no command runs.
func (w *world) litter() (list []string) {
	w.t.Helper()
	err := filepath.WalkDir(w.root, func(path string, e fs.DirEntry, err error) error {
		name := e.Name()
		if strings.HasPrefix(name, durable.TempPrefix) || strings.HasPrefix(name, layout.StagingPrefix) || filepath.Dir(path) == w.path("tmp") {
			list = append(list, strings.TrimPrefix(path, w.root))
		}
		return err
	})
	check(w.t, err)
	return list
}

// targetAsBefore reports whether the target is absent or empty, with nothing beside it.
func (w *world) targetAsBefore() error {
	entries, err := os.ReadDir(w.target())
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("the target has %s in it", entries[0].Name())
	}
	beside, _ := os.ReadDir(w.path("parent"))
	if slices.ContainsFunc(beside, func(e fs.DirEntry) bool { return e.Name() != "target" }) {
		return fmt.Errorf("beside the target is %s", beside[0].Name())
	}
	return nil
}

// restorable fails the test unless the newest snapshot comes back whole from one place alone.
func (w *world) restorable(place ...string) {
	w.t.Helper()
	target := filepath.Join(w.t.TempDir(), "target")
	w.must(append([]string{"restore", "latest", "--target", target}, place...)...)
	if !w.t.Failed() {
		w.source.restoredIn(w.t, filepath.Join(target, "app"))
	}
	check(w.t, durable.RemoveAll(target))
}

// holds fails the test unless the newest snapshot in a store describes the whole source. That what it describes is there is for valid to
// find out.
func (w *world) holds(place ...string) {
	w.t.Helper()
	var l listing
	code, out := w.run(append([]string{"ls", "latest", "--json"}, place...)...)
	if code != 0 {
		w.t.Errorf("ls latest: exit code %d: %s", code, out)
		return
	}
	check(w.t, json.Unmarshal([]byte(out), &l))
	there := map[string]bool{}
	for _, f := range l.Files {
		path := strings.TrimPrefix(f.Path, "app")
		path = cmp.Or(strings.TrimPrefix(path, "/"), ".")
		there[path] = true
		if e := w.source.tree[path]; e.Type != f.Type || f.Type == "file" && e.SHA256 != f.SHA256 && !strings.HasSuffix(path, "live.sqlite") {
			w.t.Errorf("%s in the snapshot is not what it is in the source", path)
		}
	}
	for path := range w.source.tree {
		if !there[path] && !strings.HasSuffix(path, "-wal") && !strings.HasSuffix(path, "-shm") {
			w.t.Errorf("%s is not in the snapshot", path)
		}
	}
}

// fromRemote are the flags under which nothing but the remote counts.
func (w *world) fromRemote() []string {
	return []string{"--remote", w.remote, "--store", w.path("none"), "--app", "app"}
}

// A tally counts what came of faults, for the log.
type tally struct {
	mu   sync.Mutex
	rows map[string]map[string]int
}

func (y *tally) add(row, outcome string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.rows == nil {
		y.rows = map[string]map[string]int{}
	}
	if y.rows[row] == nil {
		y.rows[row] = map[string]int{}
	}
	y.rows[row][outcome]++
}

func (y *tally) String() string {
	var lines []string
	all := 0
	for row, outcomes := range y.rows {
		sum, parts := 0, []string{}
		for outcome, n := range outcomes {
			sum += n
			parts = append(parts, fmt.Sprintf("%s %d", outcome, n))
		}
		slices.Sort(parts)
		all += sum
		lines = append(lines, fmt.Sprintf("%-52s %5d   %s", row, sum, strings.Join(parts, ", ")))
	}
	slices.Sort(lines)
	return fmt.Sprintf("%-52s %5s   %s\n%s\n%-52s %5d", "command, fault", "points", "outcomes", strings.Join(lines, "\n"), "in all", all)
}
