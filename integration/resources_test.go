//go:build unix

package integration_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"lifeboat/internal/sqlitedb"
)

// makeDatabase makes a WAL database of about mib MiB that does not compress away.
func makeDatabase(t *testing.T, path string, mib int) {
	t.Helper()
	db, err := sqlitedb.OpenApp(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r := rand.NewChaCha8([32]byte{1})
	blob := make([]byte, 3000)
	if _, err := db.Exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB)"); err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for range mib << 20 / 4096 {
		r.Read(blob)
		if _, err := tx.Exec("INSERT INTO t(b) VALUES(?)", blob); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

const (
	databaseMiB = 300
	memoryMiB   = 160 // the bound that is promised
	tightMiB    = 80  // and with --max-memory
	fileMiB     = 48  // no file that a backup writes is larger: an archive, and no copy of the database
)

// Neither memory nor the disk hold a database on its way: a backup of a large one never writes a large file, and neither it
// nor the restore takes more memory than is promised.
func TestBoundedMemoryAndNoCopyOfADatabase(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT CHECKED under -short: the memory that a backup of a large database takes")
	}
	dir := filepath.Join(t.TempDir(), "app")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	makeDatabase(t, filepath.Join(dir, "big.db"), databaseMiB)
	m := newMachine(t, nil)
	remote := filepath.Join(t.TempDir(), "remote")

	backup := m.command("backup", dir, "--remote", remote)
	// The kernel ends a process that writes a file larger than this: setrlimit(2), RLIMIT_FSIZE, in units of 512 bytes.
	limited := exec.Command("sh", append([]string{"-c", fmt.Sprintf(`ulimit -f %d && exec "$0" "$@"`, fileMiB<<20/512)}, backup.Args...)...)
	limited.Env, limited.Dir = backup.Env, backup.Dir
	checkMemory(t, limited, memoryMiB)

	target := filepath.Join(m.home, "restored")
	checkMemory(t, m.command("restore", "latest", "--remote", remote, "--target", target), memoryMiB)

	tight := fmt.Sprintf("--max-memory=%dMiB", tightMiB)
	other := filepath.Join(t.TempDir(), "other")
	checkMemory(t, m.command("backup", dir, "--remote", other, "--app", "remote", tight), tightMiB)
	checkMemory(t, m.command("restore", "latest", "--remote", other, "--target", target+"2", "--app", "remote", tight), tightMiB)
	var l struct{ Valid bool }
	m.must(&l, "validate", "--remote", remote)
}

// measure makes the test binary run its arguments as a command and print the peak memory of that, in bytes. A process begins with the
// peak of the one that started it (getrusage(2) counts what was there before execve), and the process of the tests has grown large;
// one that does nothing else has not.
const measure = "LIFEBOAT_INTEGRATION_MEASURE"

func beMeasure() int {
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, measure+"=") })
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	peak := int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	if runtime.GOOS != "darwin" { // where it is in bytes, and elsewhere in KiB
		peak <<= 10
	}
	fmt.Println(peak)
	return 0
}

func checkMemory(t *testing.T, cmd *exec.Cmd, mib int64) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m := exec.Command(self, cmd.Args...)
	m.Env, m.Dir = append(cmd.Env, measure+"=1"), cmd.Dir
	var said bytes.Buffer
	m.Stderr = &said
	out, err := m.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd.Args, err, said.Bytes())
	}
	peak, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: peak memory %d MiB", cmd.Args[len(cmd.Args)-1], peak>>20)
	if peak > mib<<20 {
		t.Errorf("%s: peak memory %d MiB, more than %d", cmd.Args, peak>>20, mib)
	}
}
