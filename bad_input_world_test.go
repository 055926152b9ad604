package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/sqlitedb"
	"lifeboat/localstore"
)

// A badInput is a command line that cannot do what it is asked for, and what the operator is told.
type badInput struct {
	name    string
	setup   func(w *world)
	env     []string // NAME=VALUE; $W is the world
	as      string   // "nobody": as a user who may not do everything
	args    string   // of lifeboat, separated by spaces, '' an empty one; $W is the world
	code    int
	kind    string   // error.kind with --json; "" where the command did what it could, and has a document to show for it
	says    string   // all of standard error; $W is the world, … anything
	changes []string // names in the world that may be made or changed; everything else is as it was, to the byte
	plain   bool     // the command has no JSON form
}

// A world is a directory with everything that a command line may name: an application in app, its local store in state, its
// remote in bucket, both with two snapshots, and the home and temporary directories.
type world struct {
	t      *testing.T
	dir    string
	holder int // a process that has something open
}

// newWorld makes a world, once for all tests of a table: see reset.
func newWorld(t *testing.T) *world {
	parent := t.TempDir()
	w := &world{t: t, dir: filepath.Join(parent, "w")}
	for _, dir := range []string{parent, filepath.Dir(parent)} { // nobody goes through them
		w.check(os.Chmod(dir, 0o755))
	}
	for _, name := range []string{"home", "tmp", "empty"} {
		w.mkdir(name)
	}
	w.write("app/x", "x\n")
	w.write("app/sub/y", "y\n")
	w.write("other/app/z", "z\n")
	w.sql("app/data.db", "CREATE TABLE t(a); INSERT INTO t VALUES (1)")
	w.chmod("tmp", 0o777)
	for range 2 {
		w.must("backup", "app", "--app", "app", "--remote", "bucket", "--quiet")
	}
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, filepath.FromSlash(name)) }

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) mkdir(name string) { w.t.Helper(); w.check(os.MkdirAll(w.path(name), 0o755)) }

func (w *world) write(name, content string) {
	w.t.Helper()
	w.check(os.MkdirAll(filepath.Dir(w.path(name)), 0o755))
	w.check(os.WriteFile(w.path(name), []byte(content), 0o644))
}

func (w *world) sql(name, statements string) {
	w.t.Helper()
	db, err := sqlitedb.OpenApp(w.path(name))
	w.check(err)
	defer db.Close()
	_, err = db.Exec(statements)
	w.check(err)
}

// flip changes bytes of every file that a pattern fits.
func (w *world) flip(pattern string, offsets ...int64) {
	w.t.Helper()
	files, err := filepath.Glob(w.path(pattern))
	w.check(err)
	if len(files) == 0 {
		w.t.Fatalf("nothing fits %s", pattern)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		w.check(err)
		for _, off := range offsets {
			data[off] ^= 0x40
		}
		w.check(os.WriteFile(file, data, 0o644))
	}
}

func (w *world) rename(from, to string) { w.t.Helper(); w.check(os.Rename(w.path(from), w.path(to))) }
func (w *world) remove(name string)     { w.t.Helper(); w.check(os.RemoveAll(w.path(name))) }
func (w *world) chmod(name string, mode fs.FileMode) {
	w.t.Helper()
	w.check(os.Chmod(w.path(name), mode))
}

// open lets everybody read a store.
func open(w *world) {
	w.check(exec.Command("chmod", "-R", "a+rX", w.path("bucket")).Run())
}

// command returns a lifeboat command in the world.
func (w *world) command(as string, env []string, args ...string) *exec.Cmd {
	program := "lifeboat"
	if as != "" {
		program, args = as, append([]string{"lifeboat"}, args...)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "HOME="+w.path("home"), "STATE_DIRECTORY="+w.path("state"), "TMPDIR="+w.path("tmp"), "TMP="+w.path("tmp"), "TZ=UTC",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=secret", "AWS_REGION=us-east-1", "GORACE=atexit_sleep_ms=0")
	for _, v := range env {
		cmd.Env = append(cmd.Env, w.expand(v))
	}
	return cmd
}

func (w *world) must(args ...string) {
	w.t.Helper()
	if out, err := w.command("", nil, args...).CombinedOutput(); err != nil {
		w.t.Fatalf("lifeboat %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// document runs a command and returns its JSON document.
func (w *world) document(args ...string) map[string]any {
	w.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := w.command("", nil, append([]string{"--json"}, args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		w.t.Fatalf("lifeboat %s: %v\n%s%s", strings.Join(args, " "), err, &stdout, &stderr)
	}
	var doc map[string]any
	if err := json.Unmarshal(stdout.Bytes(), &doc); err != nil {
		w.t.Fatalf("lifeboat %s: %v", strings.Join(args, " "), err)
	}
	return doc
}

func (w *world) expand(text string) string {
	return strings.NewReplacer("$W", w.dir, "$PID", strconv.Itoa(w.holder)).Replace(text)
}

// fields splits a command line at spaces.
func (w *world) fields(line string) []string {
	args := strings.Fields(line)
	for i, arg := range args {
		args[i] = w.expand(arg)
		if arg == "''" {
			args[i] = ""
		}
	}
	return args
}

// tree describes all that is in the world, but for what may change.
func (w *world) tree(changes []string) map[string]string {
	w.t.Helper()
	tree, err := describeTree(w.dir, false)
	w.check(err)
	for name := range tree {
		if filepath.Base(name) == "lock" { // which says who had a store last
			delete(tree, name)
		}
		for _, c := range changes {
			if name == c || strings.HasPrefix(name, c+string(filepath.Separator)) {
				delete(tree, name)
			}
		}
	}
	return tree
}

// copyTo makes a copy of the world to go back to.
func (w *world) copyTo(dir string) {
	w.t.Helper()
	out, err := exec.Command("cp", "-a", w.dir, dir).CombinedOutput()
	if err != nil {
		w.t.Fatalf("copy the world: %v: %s", err, out)
	}
}

// try runs one command line and holds it to what it must do.
func (in badInput) try(t *testing.T, w *world) {
	if in.setup != nil {
		in.setup(w)
	}
	before := w.tree(in.changes)
	args := w.fields(in.args)
	if !in.plain {
		args = append([]string{"--json"}, args...)
	}
	cmd := w.command(in.as, in.env, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if code := cmd.ProcessState.ExitCode(); code != in.code {
		t.Errorf("exit code %d, want %d", code, in.code)
	}
	if !fits(w.expand(strings.TrimSpace(in.says)), strings.TrimSpace(stderr.String())) {
		t.Errorf("it says\n%s\nwant\n%s", strings.ReplaceAll(stderr.String(), w.dir, "$W"), in.says)
	}
	if diff := cmp.Diff(before, w.tree(in.changes)); diff != "" {
		t.Errorf("it left something behind, or changed it (-before, +after):\n%s", diff)
	}
	if !in.plain {
		in.checkDocument(t, stdout.Bytes(), stderr.String())
	} else if stdout.Len() > 0 {
		t.Errorf("it wrote to standard output: %q", stdout.String())
	}
}

// checkDocument checks that a program is told what a person is.
func (in badInput) checkDocument(t *testing.T, stdout []byte, stderr string) {
	var doc struct {
		Error *struct {
			Code                int
			Kind, Message, Next string
		}
	}
	if err := json.Unmarshal(stdout, &doc); err != nil {
		t.Fatalf("standard output is not one JSON document: %v: %q", err, stdout)
	}
	switch e := doc.Error; {
	case e == nil && in.kind != "":
		t.Errorf("the document has no error: %s", stdout)
	case e == nil:
	case e.Code != in.code || e.Kind != in.kind:
		t.Errorf("the document says %d %s, want %d %s", e.Code, e.Kind, in.code, in.kind)
	case !strings.Contains(stderr, "lifeboat: "+printable(e.Message)+"\n") || e.Next != "" && !strings.Contains(stderr, "  next: "+printable(e.Next)+"\n"):
		t.Errorf("standard error and the document differ: %s", stdout)
	}
}

// fits reports whether a text is as wanted, in which … stands for anything.
func fits(want, got string) bool {
	parts := strings.Split(want, "…")
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	return regexp.MustCompile(`(?s)\A` + strings.Join(parts, ".*") + `\z`).MatchString(got)
}

// lockedBy starts a program that has a database to itself until the test ends.
func (w *world) lockedBy(name string) {
	w.t.Helper()
	w.hold(w.path(name), `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN EXCLUSIVE")
db.execute("UPDATE t SET a = a")`)
}

// hold runs a program, in Python, with an argument, and has it wait at its end until the test ends. $PID stands for it afterwards.
func (w *world) hold(arg, code string) {
	w.t.Helper()
	cmd := exec.Command("python3", "-c", code+`
print("ready", flush=True)
sys.stdin.read()`, arg)
	in, err := cmd.StdinPipe()
	w.check(err)
	out, err := cmd.StdoutPipe()
	w.check(err)
	w.check(cmd.Start())
	w.t.Cleanup(func() { in.Close(); cmd.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil {
		w.t.Fatalf("hold %s: %v", arg, err)
	}
	w.holder = cmd.Process.Pid
}

// configured writes a configuration to where it is found.
func configured(text string) func(*world) {
	return func(w *world) { w.write("lifeboat.yaml", text) }
}

// coldWAL makes a database in WAL mode that nobody has open, where nobody may write.
func coldWAL(w *world) {
	w.mkdir("cold")
	w.sql("cold/wal.db", "PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES (1)")
	w.chmod("tmp", 0o777)
	w.chmod("cold", 0o555)
	w.t.Cleanup(func() { w.chmod("cold", 0o755) })
}

// encrypted makes what SQLCipher leaves of a database in use: noise, and a log.
func encrypted(w *world) {
	noise := make([]byte, 8192)
	rand.NewChaCha8([32]byte{}).Read(noise)
	w.write("app/secret.db", string(noise))
	w.write("app/secret.db-wal", "\x37\x7f\x06\x82"+string(noise[:4124]))
	w.write("app/secret.db-shm", string(make([]byte, 32768)))
}

// inUse makes this process one that is changing the local store.
func inUse(w *world) {
	held, err := localstore.Lock(w.t.Context(), w.path("state"), "lifeboat backup", 0)
	w.check(err)
	w.t.Cleanup(func() { held.Release() })
}

// full makes a file system of a few KiB, with little room left, and an application that is larger.
func full(name string, room int) func(*world) {
	return func(w *world) {
		w.mkdir(name)
		noise := make([]byte, 1<<20)
		rand.NewChaCha8([32]byte{1}).Read(noise)
		w.write("app/large", string(noise))
		w.must("backup", "app", "--app", "app", "--remote", "bucket", "--quiet")
		mount(w.t, w.path(name), max(room, 4096))
		if room == 0 {
			w.write(name+"/filler", strings.Repeat("x", 4096))
		}
	}
}

// fullStore makes a store on a file system that is full now.
func fullStore(w *world) {
	w.mkdir("small")
	mount(w.t, w.path("small"), 2<<20)
	w.must("create", "app/x", "--app", "app", "--store", "small")
	noise := make([]byte, 4<<20)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	w.write("app/large", string(noise))
}

// withoutInodes makes a file system that has room for bytes and for no file.
func withoutInodes(w *world) {
	w.mkdir("small")
	mount(w.t, w.path("small"), 4<<20, "nr_inodes=1")
}

func readOnly(w *world) {
	w.mkdir("small")
	mount(w.t, w.path("small"), 4<<20, "ro")
}
