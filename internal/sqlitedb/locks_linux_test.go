package sqlitedb_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Where SQLite's locks lie: the shared range of the database; of the -shm, the read marks, and the byte that says
// that somebody has it open (the "dead man switch" of os_unix.c).
const (
	sharedRange = "1073741826-1073742335"
	deadMan     = "128-128"
)

// locks lists the locks on a file that belong to this process, or to descriptors, as "KIND FROM-TO".
func locks(t *testing.T, path string) (all []string) {
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
		// 1: OFDLCK ADVISORY READ -1 fe:00:1234 1073741826 1073742335
		f := strings.Fields(line)
		ours := len(f) == 8 && (f[4] == "-1" || f[4] == strconv.Itoa(os.Getpid()))
		if ours && strings.HasSuffix(f[5], ":"+strconv.FormatUint(st.Ino, 10)) {
			all = append(all, fmt.Sprintf("%s %s %s-%s", f[1], f[3], f[6], f[7]))
		}
	}
	return all
}

// The locks of a pin are there from Pin to Close, though everything that can be done meanwhile is done: also what
// drops the locks of a careless program, the opening and closing of the file that it has locked.
func TestLocksStayUntilClose(t *testing.T) {
	path := build(t, wal, manual, table, fill)
	a := start(t, path, more)
	p := pin(t, path)
	shm := path + "-shm"

	check := func(when string) {
		t.Helper()
		var shared, dead, read bool
		for _, l := range locks(t, path) {
			shared = shared || l == "OFDLCK READ "+sharedRange
			if strings.Contains(l, "WRITE") || strings.Contains(l, "1073741824") {
				t.Errorf("%s: a lock that keeps others out: %s", when, l)
			}
		}
		for _, l := range locks(t, shm) {
			dead = dead || l == "POSIX READ "+deadMan
			for mark := 123; mark < 128; mark++ {
				read = read || l == fmt.Sprintf("POSIX READ %d-%d", mark, mark)
			}
		}
		if !shared || !dead || !read {
			t.Errorf("%s: shared %v, dead man %v, read mark %v: %q %q", when, shared, dead, read, locks(t, path), locks(t, shm))
		}
	}
	check("after the pin")
	image(t, p)
	check("after a stream")
	if _, _, err := p.QuickCheck(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("after the check")
	if _, err := p.ReadFacts(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("after the facts")
	if _, err := p.WALGrowth(); err != nil {
		t.Fatal(err)
	}
	check("after a look at the log")

	// A second pin of the same file in this process, through another name, and its end.
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	second := pin(t, link)
	image(t, second)
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	check("after a second pin")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	check("after somebody opened and closed the file")

	// What they are there for.
	a.do("PRAGMA busy_timeout=1")
	a.do(more)
	if got := a.do("PRAGMA wal_checkpoint(TRUNCATE)"); !strings.HasPrefix(got, "1|") {
		t.Errorf("the log was truncated under the pin: %s", got)
	}
	a.close()
	for _, name := range []string{path + "-wal", shm} {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("the last program to close removed a sidecar under the pin: %v", err)
		}
	}
	check("after the application ended")
	want := image(t, p)
	if n := inspect(t, want, "SELECT count(*) FROM t"); n != "3001" {
		t.Errorf("the pin moved: %s rows", n)
	}

	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if left := append(locks(t, path), locks(t, shm)...); len(left) > 0 {
		t.Errorf("locks after Close: %q", left)
	}
}

// Everywhere but in WAL mode, reading a database takes one lock, and a cold WAL database none.
func TestLocksOfOtherModes(t *testing.T) {
	rollback := build(t, table, fill)
	p := pin(t, rollback)
	equal(t, locks(t, rollback), []string{"OFDLCK READ " + sharedRange})
	p.Close()
	equal(t, locks(t, rollback), []string(nil))

	cold := build(t, wal, table, fill)
	age(t, filepath.Dir(cold))
	p = pin(t, cold)
	equal(t, locks(t, cold), []string(nil))
	p.Close()
}
