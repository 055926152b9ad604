//go:build unix

package integration_test

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"runtime"
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
	memoryMiB   = 200 // the bound that is promised
	fileMiB     = 48  // no file that a backup writes is larger: an archive, and no copy of the database
)

// Neither memory nor the disk hold a database on its way: a backup of a large one never writes a large file, and neither it
// nor the restore takes more memory than is promised.
func TestBoundedMemoryAndNoCopyOfADatabase(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT CHECKED under -short: the memory that a backup of a large database takes")
	}
	dir := filepath.Join(t.TempDir(), "app")
	if err := exec.Command("mkdir", dir).Run(); err != nil {
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
	var l struct{ Valid bool }
	m.must(&l, "validate", "--remote", remote)
}

func checkMemory(t *testing.T, cmd *exec.Cmd, mib int64) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd.Args, err, out)
	}
	peak := int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	if runtime.GOOS != "darwin" { // where it is in bytes, and elsewhere in KiB
		peak <<= 10
	}
	t.Logf("%s: peak memory %d MiB", cmd.Args[len(cmd.Args)-1], peak>>20)
	if peak > mib<<20 {
		t.Errorf("%s: peak memory %d MiB, more than %d", cmd.Args, peak>>20, mib)
	}
}
