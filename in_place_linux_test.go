package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"lifeboat/internal/layout"
	"lifeboat/internal/sqlitedb"
)

// number returns a number in a document; one that is not there is 0.
func number(doc any, path ...string) int {
	for _, key := range path {
		m, _ := doc.(map[string]any)
		doc = m[key]
	}
	n, _ := doc.(float64)
	return int(n)
}

// everything describes all that a directory has in it, with all metadata, but not what restores keep there. Of roots, whose entries change places, the
// time is left out.
func everything(t *testing.T, dir string, roots ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	first := map[uint64]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(e.Name(), layout.SwapPrefix) {
			return fs.SkipDir
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		text := fmt.Sprintf("%o %d:%d", st.Mode, st.Uid, st.Gid)
		if !slices.Contains(roots, name) {
			text += fmt.Sprintf(" %d.%09d", st.Mtim.Sec, st.Mtim.Nsec)
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFLNK:
			to, err := os.Readlink(path)
			all[name] = text + " -> " + to
			return err
		case unix.S_IFREG:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" %.30q", data)
			if st.Nlink > 1 {
				if first[st.Ino] == "" {
					first[st.Ino] = name
				}
				text += " = " + first[st.Ino]
			}
		}
		names := make([]byte, 1000)
		n, _ := unix.Llistxattr(path, names)
		for attr := range strings.SplitSeq(string(names[:max(n, 0)]), "\x00") {
			value := make([]byte, 1000)
			if n, err := unix.Lgetxattr(path, attr, value); err == nil {
				text += fmt.Sprintf(" %s=%q", attr, value[:n])
			}
		}
		all[name] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// adorn gives what is in a directory metadata of all kinds.
func (w *world) adorn(dir, with string) {
	w.t.Helper()
	at := func(name string) string { return w.path(filepath.Join(dir, name)) }
	for _, d := range []string{"", "closed", "sticky", "closed/below"} {
		w.mkdir(filepath.Join(dir, d))
	}
	for _, f := range []string{"read", "group", "closed/a", "closed/below/b", "sticky/c"} {
		w.write(filepath.Join(dir, f), with+" "+f)
	}
	w.check(os.Link(at("group"), at("group.too")))
	w.check(os.Link(at("group"), at("sticky/group.too")))
	w.check(os.Symlink("group", at("link")))
	w.check(os.Symlink("nowhere", at("sticky/link")))
	for name, id := range map[string]int{"group": 4321, "closed": 4322, "link": 4323} {
		w.check(os.Lchown(at(name), id, id+1))
	}
	for name, mode := range map[string]fs.FileMode{"read": 0o400, "group": 0o640, "closed/below/b": 0, "closed/below": 0o500, "closed": 0o550, "sticky": 0o777 | fs.ModeSticky} {
		w.check(os.Chmod(at(name), mode))
	}
	for _, name := range []string{"read", "closed"} {
		if err := unix.Lsetxattr(at(name), "user.test", []byte(with), 0); err != nil {
			w.t.Logf("NOT CHECKED: extended attributes in %s: %v", dir, err)
		}
	}
	i := int64(len(with))
	for _, name := range []string{"read", "group", "link", "sticky/link", "closed/a", "closed/below", "closed", "sticky", ""} {
		i += 7
		ts := unix.Timespec{Sec: 1500000000 + i, Nsec: 123456789}
		w.check(unix.UtimesNanoAt(unix.AT_FDCWD, at(name), []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
	}
}

// Sources that are mount points, one of them with others in it and one a vector store, and one that is none, all with metadata of every kind: a restore in place
// gives what is in the snapshot all that the snapshot says, leaves the rest as it was, does what its plan said, and can be taken back to the last link.
func TestInPlaceOnMountPoints(t *testing.T) {
	w := newWorld(t)
	names := []string{"volume", "chroma", "hollow", "plain"}
	for _, name := range names {
		w.mkdir("srv/" + name)
	}
	for _, name := range []string{"volume", "volume/inner", "volume/hollow", "chroma", "hollow"} {
		w.mkdir("srv/" + name)
		mount(t, w.path("srv/"+name), 8<<20)
	}
	for _, dir := range []string{"volume/a", "volume/inner/a", "plain"} {
		w.adorn("srv/"+dir, "then")
	}
	w.write("srv/volume/top", "then")
	w.write("srv/volume/cipher", strings.Repeat("ciphertext then ", 512))
	w.write("srv/chroma/segment/data", "then")
	w.sql("srv/chroma/chroma.sqlite3", "CREATE TABLE t(a); INSERT INTO t VALUES (1)")
	var sources, places []string
	for _, name := range names {
		sources = append(sources, w.path("srv/"+name))
		places = append(places, "--map", name+"="+w.path("srv/"+name))
	}
	w.must(append(append([]string{"create"}, sources...), "--app", "app")...)
	roots := []string{".", "volume", "volume/inner", "volume/hollow", "chroma", "hollow"}
	then := everything(t, w.path("srv"), roots...)

	// Everything changes, and more comes.
	w.write("srv/volume/top", "now")
	w.write("srv/volume/a/group", "now") // under three names
	w.chmod("srv/volume/a/read", 0o644)
	w.remove("srv/plain/closed/a")
	w.remove("srv/volume/inner/a/link")
	w.write("srv/volume/inner/a/link/in", "a directory, where a link was") // and goes
	w.remove("srv/plain/sticky/c")
	w.adorn("srv/plain/sticky/c", "a directory, where a file was") // and goes
	w.write("srv/chroma/segment/data", "now")
	w.write("srv/chroma/segment/more", "goes")
	w.write("srv/chroma/other/data", "goes")
	w.sql("srv/chroma/chroma.sqlite3", "INSERT INTO t VALUES (2)")
	w.write("srv/volume/cipher", strings.Repeat("ciphertext now ", 512))
	w.write("srv/volume/cipher-wal", "\x37\x7f\x06\x82 the log of what is now") // and goes, or it would be read into what was then
	for _, dir := range []string{"volume/a/extra", "volume/extra", "volume/inner/extra", "plain/extra", "plain/closed/extra"} {
		w.adorn("srv/"+dir, "extra")
	}
	w.write("srv/volume/hollow/extra", "extra")
	w.write("srv/hollow/extra", "extra")
	w.check(syscall.Mkfifo(w.path("srv/plain/pipe"), 0o600)) // cannot be copied, and goes
	w.check(syscall.Mkfifo(w.path("srv/hollow/pipe"), 0o600))
	before := everything(t, w.path("srv"), roots...)
	extra := func(name string) bool {
		return strings.Contains(name, "extra") || name == "hollow/pipe"
	}

	plan := func(args ...string) map[string]any {
		return w.document(append(append([]string{"restore", "latest", "--app", "app", "--in-place", "--plan"}, places...), args...)...)
	}
	restore := func(args ...string) map[string]any {
		return w.document(append(append([]string{"restore", "latest", "--app", "app", "--confirm-service-stopped"}, places...), args...)...)
	}
	// agree checks that the plan, the result and the disk say the same.
	agree := func(plan, res map[string]any, after map[string]string) {
		t.Helper()
		stayed, gone := 0, 0
		for name := range before {
			_, is := after[name]
			_, was := then[name]
			switch {
			case is && !was:
				stayed++
			case !is:
				gone++
			}
		}
		if number(plan, "counts", "stay") != stayed || number(res, "extra_kept") != stayed {
			t.Errorf("%d entries that are not in the snapshot stayed; the plan said %d, and the result %d", stayed, number(plan, "counts", "stay"), number(res, "extra_kept"))
		}
		if number(plan, "counts", "discard") != gone || number(res, "extra_discarded") != gone {
			t.Errorf("%d entries that are not in the snapshot went; the plan said %d, and the result %d", gone, number(plan, "counts", "discard"), number(res, "extra_discarded"))
		}
	}

	planned, res := plan(), restore()
	want := with(then, before, extra)
	after := everything(t, w.path("srv"), roots...)
	if diff := cmp.Diff(want, after); diff != "" {
		t.Errorf("after the restore (-want, +got):\n%s", diff)
	}
	agree(planned, res, after)
	w.must("undo", "--app", "app", "--confirm-service-stopped")
	if diff := cmp.Diff(before, everything(t, w.path("srv"), roots...)); diff != "" {
		t.Errorf("after the undo (-before, +after):\n%s", diff)
	}

	planned, res = plan("--delete-extra"), restore("--delete-extra")
	after = everything(t, w.path("srv"), roots...)
	if diff := cmp.Diff(then, after); diff != "" {
		t.Errorf("after a restore that leaves nothing else (-want, +got):\n%s", diff)
	}
	agree(planned, res, after)
	w.must("undo", "--app", "app", "--confirm-service-stopped", "--no-pre-snapshot")
	if diff := cmp.Diff(before, everything(t, w.path("srv"), roots...)); diff != "" {
		t.Errorf("after the second undo (-before, +after):\n%s", diff)
	}

	// Of a mount point that was empty there is nothing to restore, and that is no failure.
	planned, res = plan("--only", "hollow"), restore("--only", "hollow", "--no-pre-snapshot")
	if number(planned, "counts", "stay") != 2 || number(res, "extra_kept") != 2 || res["swap"] != "" || res["undo_until"] != nil {
		t.Errorf("%v\n%v", planned, res)
	}
	if diff := cmp.Diff(before, everything(t, w.path("srv"), roots...)); diff != "" {
		t.Errorf("after a restore of nothing (-before, +after):\n%s", diff)
	}
	res = restore("--only", "hollow", "--delete-extra")
	if entries, err := filepath.Glob(w.path("srv/hollow/[^.]*")); err != nil || len(entries) > 0 || number(res, "extra_discarded") != 2 || res["pre_restore_snapshot"] == nil {
		t.Errorf("%q, %v", entries, res)
	}
	w.must("undo", "--app", "app", "--confirm-service-stopped")
	if diff := cmp.Diff(before, everything(t, w.path("srv"), roots...)); diff != "" {
		t.Errorf("after the third undo (-before, +after):\n%s", diff)
	}
}

// with returns what was then, and what is extra of what was before.
func with(then, before map[string]string, extra func(string) bool) map[string]string {
	want := maps.Clone(then)
	for name, text := range before {
		if _, was := then[name]; !was && extra(name) {
			want[name] = text
		}
	}
	return want
}

// crashed leaves a database as a program does that dies in the middle of a transaction in which it has begun to write to the file.
func (w *world) crashed(name string) {
	w.t.Helper()
	out, err := exec.Command("python3", "-c", `
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA cache_size=5")
db.execute("BEGIN")
db.execute("UPDATE t SET a = replace(a, 'now', 'half')")
os._exit(0)`, w.path(name)).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
	journal, err := os.ReadFile(w.path(name + "-journal"))
	w.check(err)
	data, err := os.ReadFile(w.path(name))
	w.check(err)
	if len(journal) < 1000 || !bytes.Contains(data, []byte("half")) {
		w.t.Fatalf("there is no hot journal: %d bytes", len(journal))
	}
}

// words returns how often words stand in the rows of a database, and in all of it the word of its integrity check.
func (w *world) words(name string) string {
	w.t.Helper()
	db, err := sqlitedb.OpenApp(w.path(name))
	w.check(err)
	defer db.Close()
	var then, now, half int
	var integrity string
	w.check(db.QueryRow("SELECT sum(a LIKE 'then%'), sum(a LIKE 'now%'), sum(a LIKE 'half%') FROM t").Scan(&then, &now, &half))
	w.check(db.QueryRow("PRAGMA integrity_check").Scan(&integrity))
	return fmt.Sprintf("then %d, now %d, half %d, %s", then, now, half, integrity)
}

// An application that died in the middle of a transaction has left a hot journal. What is restored over it is not rolled back into the old rows, the
// safety snapshot has what was committed, and so has the old state when it is back, with its journal if that was not for lifeboat to play in.
func TestInPlaceOverHotJournal(t *testing.T) {
	const fill = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i+1 FROM n WHERE i < 300) INSERT INTO t SELECT 'WORD' || printf('%0200d', i) FROM n"
	for _, source := range []string{"hot", "hot/app.db"} {
		t.Run(strings.ReplaceAll(source, "/", "_"), func(t *testing.T) {
			w := newWorld(t)
			w.mkdir("hot")
			w.sql("hot/app.db", "CREATE TABLE t(a); "+strings.ReplaceAll(fill, "WORD", "then"))
			w.must("create", source, "--app", "app")
			w.sql("hot/app.db", "DELETE FROM t; "+strings.ReplaceAll(fill, "WORD", "now"))
			w.crashed("hot/app.db")

			res := w.document("restore", "latest", "--app", "app", "--confirm-service-stopped")
			if _, err := os.Lstat(w.path("hot/app.db-journal")); err == nil {
				t.Error("the journal is there still")
			}
			if got := w.words("hot/app.db"); got != "then 300, now 0, half 0, ok" {
				t.Errorf("restored: %s", got)
			}
			w.must("restore", res["pre_restore_snapshot"].(string), "--app", "app", "--target", "saved")
			saved, err := filepath.Glob(w.path("saved/*/app.db"))
			w.check(err)
			if len(saved) != 1 {
				t.Fatalf("saved: %q", saved)
			}
			rel, _ := filepath.Rel(w.dir, saved[0])
			if got := w.words(rel); got != "then 0, now 300, half 0, ok" {
				t.Errorf("saved: %s", got)
			}
			w.must("undo", "--app", "app", "--confirm-service-stopped", "--no-pre-snapshot")
			if got := w.words("hot/app.db"); got != "then 0, now 300, half 0, ok" {
				t.Errorf("undone: %s", got)
			}

			// A journal that names a super-journal which is not to be seen from here: only the application can tell what it means.
			w.crashed("hot/app.db")
			w.check(os.WriteFile(w.path("hot/app.db-journal"), append(w.read("hot/app.db-journal"), superJournal("/a/directory/of/a/container/app.db-mj0A1B2C9D4")...), 0o644))
			before := everything(t, w.path("hot"), ".")
			main, journal := w.read("hot/app.db"), w.read("hot/app.db-journal")
			w.must("restore", "latest", "--app", "app", "--confirm-service-stopped")
			if got := w.words("hot/app.db"); got != "then 300, now 0, half 0, ok" {
				t.Errorf("restored: %s", got)
			}
			w.must("undo", "--app", "app", "--confirm-service-stopped", "--no-pre-snapshot")
			if diff := cmp.Diff(before, everything(t, w.path("hot"), ".")); diff != "" || !bytes.Equal(main, w.read("hot/app.db")) || !bytes.Equal(journal, w.read("hot/app.db-journal")) {
				t.Errorf("undone (-before, +after):\n%s", diff)
			}
		})
	}
}

func (w *world) read(name string) []byte {
	w.t.Helper()
	data, err := os.ReadFile(w.path(name))
	w.check(err)
	return data
}

// superJournal returns what a journal ends with that names a super-journal: writeSuperJournal in SQLite's pager.c.
func superJournal(name string) []byte {
	var sum uint32
	for _, b := range []byte(name) {
		sum += uint32(b)
	}
	record := binary.BigEndian.AppendUint32(nil, 0x40000000/4096+1)
	record = append(record, name...)
	record = binary.BigEndian.AppendUint32(record, uint32(len(name)))
	record = binary.BigEndian.AppendUint32(record, sum)
	return append(record, "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"...)
}
