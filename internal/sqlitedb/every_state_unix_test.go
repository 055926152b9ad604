//go:build unix

package sqlitedb_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lifeboat/internal/sqlitedb"
)

const nobody = 65534

// readers are we; somebody who may read the files but not write to them, nor to their directory; and somebody to whom they belong, but who may not
// write to the directory. (A file system that is mounted read-only is not checked.)
func readers(t *testing.T) []reader {
	if os.Geteuid() != 0 {
		t.Log("NOT CHECKED: capture by a user who does not own the files; only root can become one")
		confined := owner()
		confined.name, confined.prepare = "read-only directory", readOnly
		return []reader{owner(), confined}
	}
	binary := publicBinary(t)
	capture := func(t *testing.T, do task, pinned func()) captured { return captureAs(t, binary, do, pinned) }
	return []reader{
		owner(),
		{"another user", false, func(*testing.T, string) {}, ownDir, capture},
		{"read-only directory", true, func(t *testing.T, dir string) {
			giveAway(t, dir)
			readOnly(t, dir)
		}, ownDir, capture},
	}
}

// otherOwners are databases beside which lies what somebody else made. SQLite would give it, as root, to the owner of the database.
func otherOwners() []state {
	if os.Geteuid() != 0 {
		return nil // nobody else could
	}
	give := func(uid int, suffixes ...string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			for _, suffix := range suffixes {
				if err := os.Chown(path+suffix, uid, uid); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return []state{
		{name: "wal, open, sidecars of another owner", make: running(wal, manual, table, fill, more).then(give(nobody, "-wal", "-shm")),
			rows: "3001", found: sqlitedb.FoundLiveWAL, read: sqlitedb.ReadLocked, shm: marks},
		{name: "wal, open, database of another owner", make: running(wal, table, fill, "PRAGMA wal_checkpoint").then(give(nobody, "")),
			rows: "3000", found: sqlitedb.FoundLiveWAL, read: sqlitedb.ReadLocked, shm: marks},
		{name: "wal, crashed, sidecars of another owner", make: crash.then(give(nobody, "-wal", "-shm")),
			rows: "3001", found: sqlitedb.FoundCrashedWAL, read: sqlitedb.ReadLocked, shm: anew},
		{name: "rollback, spent journal of another owner", make: gone("PRAGMA journal_mode=persist", table, fill).then(give(nobody, "-journal")),
			rows: "3000", found: sqlitedb.FoundRollback, read: rollbackRead},
		{name: "rollback, hot journal of another owner", make: hotJournal.then(give(nobody, "-journal")),
			rows: "3000", found: sqlitedb.FoundHotJournal, read: sqlitedb.ReadCopy},
	}
}

// What root makes beside a database belongs to its owner all the same, or else that one could no longer open it.
func TestRootGivesAwayWhatItMakes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT CHECKED: what root makes beside the database of somebody else; the test does not run as root")
	}
	for mode, suffixes := range map[string][]string{"wal": {"-wal", "-shm"}, "delete": {"-journal"}} {
		path := build(t, "PRAGMA journal_mode="+mode, table)
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		db, err := sqlitedb.OpenApp(path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		db.SetMaxOpenConns(1)
		for _, s := range []string{"BEGIN", more} {
			if _, err := db.Exec(s); err != nil {
				t.Fatal(err)
			}
		}
		for _, suffix := range suffixes {
			var st unix.Stat_t
			if err := unix.Stat(path+suffix, &st); err != nil {
				t.Fatal(err)
			}
			if st.Uid != nobody || st.Gid != nobody {
				t.Errorf("%s: %s belongs to %d:%d", mode, suffix, st.Uid, st.Gid)
			}
		}
	}
}

// captureAs has the task done by a process of nobody.
func captureAs(t *testing.T, binary string, do task, pinned func()) (c captured) {
	t.Helper()
	args, err := json.Marshal(do)
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "capture", string(args))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	cmd.Path = binary
	in, out := startPiped(t, cmd)
	defer cmd.Wait()
	defer in.Close()
	dec := json.NewDecoder(out)
	if err := dec.Decode(&c); err != nil { // it has pinned, or could not
		t.Fatal(err)
	}
	if c.Err != "" {
		return c
	}
	pinned()
	in.Close()
	if err := dec.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// ownDir makes a directory of nobody's.
func ownDir(t *testing.T) string {
	dir := open(t, t.TempDir())
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	return dir
}

// giveAway makes everything in a directory nobody's, and the directory.
func giveAway(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, nobody, nobody)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func readOnly(t *testing.T, dir string) {
	t.Helper()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(dir, 0o755) })
}

// publicBinary copies the test binary to where other users can run it.
func publicBinary(t *testing.T) string {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(open(t, t.TempDir()), "capture")
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// identity returns whose a file is and which, and the time of its last change, be it of content or of anything else.
func identity(t *testing.T, path string) (inode, changed string) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(st.Dev, " ", st.Ino, " ", st.Nlink, " ", st.Uid, " ", st.Gid), fmt.Sprint(st.Ctim.Nano())
}
