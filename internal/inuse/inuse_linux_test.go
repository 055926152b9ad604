package inuse_test

import (
	"bufio"
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"lifeboat/internal/inuse"
	"lifeboat/internal/sqlitedb"

	_ "modernc.org/sqlite"
)

// The tests use real processes: the test binary runs itself as a program that has things open.
const roleVariable = "INUSE_TEST_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	os.Unsetenv(roleVariable)
	var err error
	switch role {
	case "":
		os.Exit(m.Run())
	case "hold":
		err = hold(os.Args[1:])
	case "find":
		err = find(os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// hold has open what its arguments name as KIND:PATH, until its input ends.
func hold(args []string) error {
	for _, arg := range args {
		kind, path, _ := strings.Cut(arg, ":")
		if err := holders[kind](path); err != nil {
			return fmt.Errorf("%s: %w", arg, err)
		}
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

var holders = map[string]func(path string) error{
	"wal":    func(path string) error { return foreign(path, "PRAGMA journal_mode=wal") },
	"ofd":    func(path string) error { return ours(path, "PRAGMA journal_mode=wal") },
	"delete": func(path string) error { return foreign(path, "PRAGMA journal_mode=delete") },
	"open":   func(path string) error { _, err := unix.Open(path, unix.O_RDONLY, 0); return err },
	"path":   func(path string) error { _, err := unix.Open(path, unix.O_PATH, 0); return err },
	"unlinked": func(path string) error {
		if _, err := unix.Open(path, unix.O_RDONLY, 0); err != nil {
			return err
		}
		return os.Remove(path)
	},
	"mapped": func(path string) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = unix.Mmap(int(f.Fd()), 0, 1, unix.PROT_READ, unix.MAP_SHARED)
		return err
	},
	"locked": func(path string) error {
		fd, err := unix.Open(path, unix.O_RDWR, 0)
		if err != nil {
			return err
		}
		return unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Start: 0x40000001, Len: 1})
	},
	"cd":   os.Chdir,
	"name": func(name string) error { return os.WriteFile("/proc/self/comm", []byte(name), 0) },
}

// foreign opens a database as most programs do, with locks that belong to the process.
func foreign(path string, statements ...string) error {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	return idle(db, statements)
}

// ours opens a database as this program does, with locks that belong to descriptors.
func ours(path string, statements ...string) error {
	db, err := sqlitedb.OpenApp(path)
	if err != nil {
		return err
	}
	return idle(db, statements)
}

// idle runs statements and leaves the connection open.
func idle(db *sql.DB, statements []string) error {
	db.SetMaxOpenConns(1)
	for _, s := range append(statements, "SELECT count(*) FROM sqlite_schema") {
		var row sql.RawBytes
		rows, err := db.Query(s)
		if err != nil {
			return err
		}
		for rows.Next() {
			if err := rows.Scan(&row); err != nil {
				return err
			}
		}
		if err := rows.Close(); err != nil {
			return err
		}
	}
	return nil
}

// find prints what this user finds.
func find(paths []string) error {
	found, err := inuse.Look(paths)
	for _, h := range found.Holders {
		fmt.Printf("%d %s %s %s\n", h.PID, h.Program, h.Path, h.How)
	}
	fmt.Println(found.Whole)
	return err
}

// start starts a process that holds things, which ends with the test.
func start(t *testing.T, args ...string) (pid int) {
	t.Helper()
	cmd := command(t, "hold", args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("holder: %v", err)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("holder: %q, %v", line, err)
	}
	return cmd.Process.Pid
}

func command(t *testing.T, role string, args ...string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// look is Look for what must succeed. That everything can be looked at is up to the machine, and is checked apart.
func look(t *testing.T, paths ...string) []inuse.Holder {
	t.Helper()
	found, err := inuse.Look(paths)
	if err != nil {
		t.Fatal(err)
	}
	if found.Count != len(found.Holders) {
		t.Errorf("%d holders of %d", len(found.Holders), found.Count)
	}
	return found.Holders
}

func equal(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("got +, want -:\n%s", diff)
	}
}

// tree makes files, with their names as their content, and returns the directory.
func tree(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// comm is what the kernel calls this program.
func comm(t *testing.T) string {
	t.Helper()
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(name))
}

// Every way to have a file open is found, in a process that does nothing with it at the time.
func TestLook(t *testing.T) {
	for _, test := range []struct {
		kind, path string
		files      []string
		want       map[string]string // path: how
	}{
		{"wal", "app.db", nil, map[string]string{"app.db": "locked", "app.db-wal": "open", "app.db-shm": "open"}},
		{"ofd", "app.db", nil, map[string]string{"app.db": "open", "app.db-wal": "open", "app.db-shm": "open"}},
		{"delete", "app.db", nil, map[string]string{"app.db": "open"}},
		{"open", "x/file", []string{"x/file", "other"}, map[string]string{"x/file": "open"}},
		{"path", "x/file", []string{"x/file", "other"}, map[string]string{"x/file": "open"}},
		{"open", "x", []string{"x/file"}, map[string]string{"x": "open"}},
		{"open", ".", []string{"x/file"}, map[string]string{".": "open"}},
		{"mapped", "x/file", []string{"x/file", "other"}, map[string]string{"x/file": "mapped"}},
		{"locked", "x/file", []string{"x/file", "other"}, map[string]string{"x/file": "locked"}},
		{"unlinked", "x/file", []string{"x/file", "other"}, map[string]string{"x/file": "unlinked"}},
		{"cd", "x", []string{"x/file"}, nil},
	} {
		t.Run(test.kind+" "+test.path, func(t *testing.T) {
			dir, elsewhere := tree(t, test.files...), tree(t, "file")
			pid := start(t, test.kind+":"+filepath.Join(dir, test.path), "open:"+filepath.Join(elsewhere, "file"))
			var want []inuse.Holder
			for path, how := range test.want {
				want = append(want, inuse.Holder{PID: pid, Program: comm(t), Path: filepath.Join(dir, path), How: how})
			}
			slices.SortFunc(want, func(a, b inuse.Holder) int { return strings.Compare(a.Path, b.Path) })
			equal(t, look(t, dir), want)
			for _, h := range want { // each by its own name too, and twice
				equal(t, slices.Contains(look(t, h.Path, h.Path), h), true)
			}
		})
	}
}

// Nobody has open what is only there; nor what was closed, nor what does not exist. What this process has open does not count.
func TestNobody(t *testing.T) {
	dir := tree(t, "x/file", "y/file", "app.db-wal", "app.db-shm")
	if err := ours(filepath.Join(dir, "app.db"), "CREATE TABLE t(v)", "PRAGMA journal_mode=wal", "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, "x", "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Symlink("/dev/null", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	equal(t, len(look(t, dir)), 0)
	equal(t, len(look(t, filepath.Join(dir, "absent"), filepath.Join(dir, "x", "file", "absent"))), 0)
	equal(t, len(look(t)), 0)
}
