//go:build unix

package snapshot_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// logOf returns a write-ahead log with frames that nobody can read, begun with a salt.
func logOf(salt byte, frames int) []byte {
	return append([]byte("\x37\x7f\x06\x82"+strings.Repeat(string(rune(salt)), 28)), bytes.Repeat([]byte{salt, 0xa7}, 2000*frames)...)
}

// An encrypted database is captured with its log as one state, whatever its application does meanwhile.
func TestEncryptedDatabase(t *testing.T) {
	checkpoint := func(t *testing.T, c *changing) { // all of it is in the database now, and the log begins anew
		write(t, c.live, 10, []byte("generation 2"))
		must(t, os.WriteFile(c.live+"-wal", logOf(2, 1), 0o600))
	}
	for name, test := range map[string]struct {
		meanwhile  func(t *testing.T, c *changing)
		generation byte
		frames     int // those of the log that may be there
		level      func(manifest.Level) bool
	}{
		"at rest": {func(*testing.T, *changing) {}, 1, 3, sound},
		"written to": {func(t *testing.T, c *changing) {
			must(t, os.WriteFile(c.live+"-wal", logOf(1, 5), 0o600))
		}, 1, 3, sound},
		"checkpointed": {checkpoint, 2, 1, sound},
		"begun anew": {func(t *testing.T, c *changing) { // as after a checkpoint that came before
			must(t, os.WriteFile(c.live+"-wal", logOf(2, 1), 0o600))
		}, 1, 1, sound},
		"ended": {func(t *testing.T, c *changing) {
			write(t, c.live, 10, []byte("generation 2"))
			must(t, os.Remove(c.live+"-wal"))
			must(t, os.Remove(c.live+"-shm"))
		}, 2, 0, sound},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChanging(t)
			write(t, c.live, 10, []byte("generation 1"))
			must(t, os.WriteFile(c.live+"-wal", logOf(1, 3), 0o600))
			must(t, os.WriteFile(c.live+"-shm", make([]byte, 32768), 0o600))
			time.Sleep(50 * time.Millisecond) // else it is not at rest yet, and is read again whatever happens
			c.take(t, func(c *changing) { test.meanwhile(t, c) })
			problems := []string{"unverified"}
			if test.frames == 0 {
				problems = []string{"vanished", "vanished"} // log and index
			}
			c.want(t, "", test.level, problems...)
			got := read(t, filepath.Join(c.target, "live"))
			if want := "generation " + string('0'+rune(test.generation)); string(got[10:22]) != want {
				t.Errorf("the database is %q, want %q", got[10:22], want)
			}
			log, err := os.ReadFile(filepath.Join(c.target, "live-wal"))
			switch {
			case test.frames == 0:
				if !os.IsNotExist(err) {
					t.Errorf("the log: %v", err)
				}
			case name == "begun anew":
				if !bytes.Equal(log, logOf(2, test.frames)) {
					t.Errorf("a log of %d bytes that begins %q", len(log), log[:min(len(log), 8)])
				}
			case !bytes.Equal(log, logOf(test.generation, test.frames)):
				t.Errorf("a log of %d bytes that begins %q", len(log), log[:min(len(log), 8)])
			}
			if _, err := os.Stat(filepath.Join(c.target, "live-shm")); !os.IsNotExist(err) {
				t.Errorf("its -shm was captured: %v", err)
			}
		})
	}
}

// A header that is not encrypted, as SQLCipher writes for iOS, does not make it one that SQLite reads, and the log is not lost.
func TestEncryptedBehindAPlainHeader(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "x.db"), []byte("SQLite format 3\x00"+strings.Repeat("\xa7noise", 3000)), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "x.db-wal"), logOf(1, 2), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "x.db-shm"), make([]byte, 32768), 0o600))
	local := snaptest.Local(t)
	res := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("d", dir))
	if got := kinds(res.Head); !slices.Equal(got, []string{"unverified"}) || res.Head.State != manifest.Complete {
		t.Errorf("problems %+v, state %s", res.Head.Problems, res.Head.State)
	}
	target := snaptest.Restore(t, res.ID, restore.Options{}, local.Store)
	for _, name := range []string{"x.db", "x.db-wal"} {
		if !bytes.Equal(read(t, filepath.Join(target, "d", name)), read(t, filepath.Join(dir, name))) {
			t.Errorf("%s differs", name)
		}
	}
}

// A database alone, without the log that lies beside it, would be half of what there is.
func TestEncryptedWithoutItsLog(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	must(t, os.WriteFile(path, bytes.Repeat([]byte("noise"), 1000), 0o600))
	must(t, os.WriteFile(path+"-wal", logOf(1, 2), 0o600))
	_, err := snapshot.Take(t.Context(), []snapshot.Source{{Name: "x", Path: path}}, snapshot.Options{App: "app", Stamp: "20260102T030405Z", Target: snaptest.Local(t)})
	if err == nil || !strings.Contains(err.Error(), "its log x.db-wal would be left out: back up the directory "+dir) {
		t.Errorf("%v", err)
	}
	// Of files that only have such names nothing is thought.
	must(t, os.WriteFile(path+"-wal", []byte("no log"), 0o600))
	local := snaptest.Local(t)
	res := snaptest.Take(t, local, snapshot.Options{}, snapshot.Source{Name: "x", Path: path}, snaptest.Directory("d", dir))
	if len(res.Head.Problems) > 0 || res.Head.Files.Count != 4 {
		t.Errorf("%d files, problems %+v", res.Head.Files.Count, res.Head.Problems)
	}
}
