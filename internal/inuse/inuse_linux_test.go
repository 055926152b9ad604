package inuse_test

import (
	"bufio"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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
const (
	roleVariable = "INUSE_TEST_ROLE"
	procVariable = "INUSE_TEST_PROC"
)

// The first goroutine keeps the first thread, which the holder "thread:gone" ends.
func init() { runtime.LockOSThread() }

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
	if slices.Contains(args, "thread:gone") {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
		unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// many is how many files the holder "many" has open.
const many = inuse.MostHolders + 50

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
	"cd": os.Chdir,
	"many": func(dir string) error {
		for i := range many {
			if _, err := unix.Open(filepath.Join(dir, fmt.Sprintf("%03d", i)), unix.O_CREAT|unix.O_RDWR, 0o644); err != nil {
				return err
			}
		}
		return nil
	},
	"name":   func(name string) error { return os.WriteFile("/proc/self/comm", []byte(name), 0) },
	"thread": func(string) error { return nil }, // "thread:gone": see hold
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

// find prints what is found by this user, and where its variables say so, with a list of processes of its own.
func find(paths []string) error {
	if os.Getenv(procVariable) != "" {
		if err := errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("proc", "/proc", "proc", 0, "")); err != nil {
			return fmt.Errorf("mount /proc: %w", err)
		}
	}
	found, err := inuse.Look(paths)
	for _, h := range found.Holders {
		fmt.Printf("%d %s %s %s\n", h.PID, h.Program, filepath.Base(h.Path), h.How)
	}
	fmt.Println("whole:", found.Whole)
	return err
}

// start starts a process that holds things, which ends with the test.
func start(t *testing.T, args ...string) (pid int) {
	t.Helper()
	return run(t, command(t, "hold", args...))
}

// run runs a holder until the test ends.
func run(t *testing.T, cmd *exec.Cmd) (pid int) {
	t.Helper()
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
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "GORACE=atexit_sleep_ms=0") // no second of waiting at its end
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
		{"thread:gone open", "x/file", []string{"x/file"}, map[string]string{"x/file": "open"}},
		{"thread:gone mapped", "x/file", []string{"x/file"}, map[string]string{"x/file": "mapped"}},
		{"open mapped", "x/file", []string{"x/file"}, map[string]string{"x/file": "open"}},
	} {
		t.Run(test.kind+" "+test.path, func(t *testing.T) {
			dir, elsewhere := tree(t, test.files...), tree(t, "file")
			args := []string{"open:" + filepath.Join(elsewhere, "file")}
			for _, kind := range strings.Fields(test.kind) {
				if !strings.Contains(kind, ":") {
					kind += ":" + filepath.Join(dir, test.path)
				}
				args = append(args, kind)
			}
			pid := start(t, args...)
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
	before := shmLocks(t, filepath.Join(dir, "app.db-shm"))
	equal(t, len(look(t, dir)), 0)
	if after := shmLocks(t, filepath.Join(dir, "app.db-shm")); before == 0 || after != before {
		t.Errorf("%d locks on the -shm were %d: it was opened and closed", after, before)
	}
	equal(t, len(look(t, filepath.Join(dir, "absent"), filepath.Join(dir, "x", "file", "absent"))), 0)
	equal(t, len(look(t)), 0)
}

// shmLocks counts the locks that this process has on a file.
func shmLocks(t *testing.T, path string) (n int) {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("/proc/locks")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line) // 1: POSIX ADVISORY READ 1234 fe:00:5678 128 128
		if len(f) == 8 && f[4] == fmt.Sprint(os.Getpid()) && strings.HasSuffix(f[5], fmt.Sprint(":", st.Ino)) {
			n++
		}
	}
	return n
}

// A program may call itself anything; what is shown can be printed.
func TestProgram(t *testing.T) {
	dir := tree(t, "file")
	path := filepath.Join(dir, "file")
	pid := start(t, "open:"+path, "name:a\x1b[1m\n\u202eé\xff")
	equal(t, look(t, dir), []inuse.Holder{{PID: pid, Program: "a[1mé\ufffd", Path: path, How: "open"}})
}

// Of many, the first are listed, and all are counted.
func TestMany(t *testing.T) {
	dir := t.TempDir()
	first, second := start(t, "many:"+dir), start(t, "many:"+dir)
	if first > second {
		first, second = second, first
	}
	found, err := inuse.Look([]string{dir})
	if err != nil || found.Count != 2*many || len(found.Holders) != inuse.MostHolders {
		t.Fatalf("%d of %d, %v", len(found.Holders), found.Count, err)
	}
	for i, h := range found.Holders {
		equal(t, h, inuse.Holder{PID: first, Program: comm(t), Path: filepath.Join(dir, fmt.Sprintf("%03d", i)), How: "open"})
	}
	holders, _, err := inuse.Find([]string{filepath.Join(dir, "007")})
	if err != nil || len(holders) != 2 || holders[0].PID != first || holders[1].PID != second {
		t.Errorf("%v, %v", holders, err)
	}
}

// Root sees everything, if it has all rights of root and is not in a container; and says no such thing if it does not.
func TestWhole(t *testing.T) {
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	_, unseen := os.Stat("/proc/1/fd/0") // a program that only CAP_SYS_PTRACE lets look at
	want := namespace == "pid:[4026531836]" && !errors.Is(unseen, fs.ErrPermission)
	if _, whole, err := inuse.Find([]string{t.TempDir()}); whole != want || err != nil {
		t.Errorf("whole %v, not %v, %v", whole, want, err)
	}
	if !want {
		t.Log("NOT CHECKED: that everything is looked at: only root outside of containers can see it")
	}
}

// Another user sees what is its own, and knows that this is not all.
func TestAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT CHECKED: what another user sees; only root can become one")
	}
	dir := tree(t, "ours", "theirs", "mapped", "removed", "closed/file", "app.db")
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	as := nobody(t, dir)
	in := func(name string) string { return filepath.Join(dir, name) }
	ours := start(t, "open:"+in("ours"), "locked:"+in("app.db"))
	theirs := run(t, as("hold", "open:"+in("theirs"), "mapped:"+in("mapped"), "unlinked:"+in("removed")))
	out, err := as("find", in("ours"), in("theirs"), in("mapped"), in("app.db"), in("removed")).Output()
	if err != nil {
		t.Fatal(err)
	}
	// A lock is seen, whoever has it.
	want := fmt.Sprintf("%d %s app.db locked\n", ours, comm(t)) +
		fmt.Sprintf("%d program mapped mapped\n%d program removed unlinked\n%d program theirs open\nwhole: false\n", theirs, theirs, theirs)
	equal(t, string(out), want)

	// Root sees the rest too.
	equal(t, look(t, in("theirs"), in("ours")), []inuse.Holder{
		{PID: ours, Program: comm(t), Path: in("ours"), How: "open"},
		{PID: theirs, Program: "program", Path: in("theirs"), How: "open"},
	})

	// What can't be read can't be looked at.
	if err := os.Chmod(in("closed"), 0); err != nil {
		t.Fatal(err)
	}
	if out, err := as("find", in("closed")).Output(); string(out) != "whole: false\n" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
}

// nobody returns how to run the program, which it puts into dir, as a user who is not root.
func nobody(t *testing.T, dir string) func(role string, args ...string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return func(role string, args ...string) *exec.Cmd {
		cmd := command(t, role, args...)
		cmd.Path = program
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		return cmd
	}
}

// On an overlay, as the root of a container is, what the kernel says of a mapped file need not be what stat says. It is found all
// the same, also without the right to follow the kernel's link.
func TestOverlay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT CHECKED: overlays: only root can make one")
	}
	dir := tree(t, "lower/below", "lower/copied", "upper/above", "work/.keep", "root/.keep")
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root := filepath.Join(dir, "root")
	options := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir)
	if err := os.Remove(filepath.Join(dir, "work/.keep")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		t.Skipf("NOT CHECKED: overlays: mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(root, 0); err != nil {
			t.Error(err)
		}
	})
	in := func(name string) string { return filepath.Join(root, name) }
	if err := os.Chmod(in("copied"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(in("copied"), 0o644); err != nil {
		t.Fatal(err)
	}
	as := nobody(t, dir)
	pid := run(t, as("hold", "mapped:"+in("below"), "mapped:"+in("above"), "mapped:"+in("copied")))
	var want []inuse.Holder
	for _, name := range []string{"above", "below", "copied"} {
		want = append(want, inuse.Holder{PID: pid, Program: "program", Path: in(name), How: "mapped"})
	}
	equal(t, look(t, root), want)
	out, err := as("find", root).Output()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, string(out), fmt.Sprintf("%[1]d program above mapped\n%[1]d program below mapped\n%[1]d program copied mapped\nwhole: false\n", pid))
}

// In a container, processes outside of it are not to be seen; that one of them has a lock is, but not which. What is open under another
// mount point is found.
func TestContainers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT CHECKED: containers: only root can make one")
	}
	dir := tree(t, "data/app.db", "data/open", "volume/.keep")
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := unix.Mount(in("data"), in("volume"), "", unix.MS_BIND, ""); err != nil {
		t.Skipf("NOT CHECKED: containers: mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(in("volume"), 0); err != nil {
			t.Error(err)
		}
	})
	pid := start(t, "locked:"+in("volume/app.db"), "open:"+in("volume/open"), "mapped:"+in("volume/open"))
	equal(t, look(t, in("data")), []inuse.Holder{
		{PID: pid, Program: comm(t), Path: in("data/app.db"), How: "locked"},
		{PID: pid, Program: comm(t), Path: in("data/open"), How: "open"},
	})
	cmd := command(t, "find", in("data"))
	cmd.Env = append(cmd.Env, procVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, string(out), "0  app.db locked\nwhole: false\n")
}
