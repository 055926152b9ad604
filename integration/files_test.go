//go:build unix

package integration_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode"
	"unicode/utf8"

	"lifeboat/integration/miniotest"
	"lifeboat/internal/snaptest"
	"lifeboat/internal/sqlitedb"
	"lifeboat/recovery/recoverytest"
)

// kinds are what can be odd about a file. One file may be of several.
var kinds = []struct {
	name string
	is   func(path string, e snaptest.Entry) bool
}{
	{"files", func(_ string, e snaptest.Entry) bool { return e.Type == "file" }},
	{"directories", func(_ string, e snaptest.Entry) bool { return e.Type == "directory" }},
	{"symbolic links", func(_ string, e snaptest.Entry) bool { return e.Type == "symlink" }},
	{"further names of files (hard links)", func(p string, e snaptest.Entry) bool { return e.First != "" && e.First != p }},
	{"databases", func(p string, e snaptest.Entry) bool { return strings.HasSuffix(p, ".db") && e.Size > 4000 }},
	{"names with spaces, ?, # or %", func(p string, _ snaptest.Entry) bool { return strings.ContainsAny(filepath.Base(p), " ?#%") }},
	{"names with newlines", func(p string, _ snaptest.Entry) bool { return strings.Contains(filepath.Base(p), "\n") }},
	{"names with other control characters", func(p string, _ snaptest.Entry) bool {
		return strings.ContainsFunc(strings.ReplaceAll(filepath.Base(p), "\n", ""), unicode.IsControl)
	}},
	{"names that are not UTF-8", func(p string, _ snaptest.Entry) bool { return !utf8.ValidString(filepath.Base(p)) }},
	{"names of 255 bytes", func(p string, _ snaptest.Entry) bool { return len(filepath.Base(p)) == 255 }},
	{"paths of more than 1,000 bytes", func(p string, _ snaptest.Entry) bool { return len(p) > 1000 }},
	{"files of others", func(_ string, e snaptest.Entry) bool { return int(e.UID) != os.Geteuid() }},
	{"setuid, setgid or sticky", func(_ string, e snaptest.Entry) bool { return e.Mode&0o7000 != 0 }},
	{"times before 1970", func(_ string, e snaptest.Entry) bool { return e.ModTime < 0 }},
	{"with user.* attributes", func(_ string, e snaptest.Entry) bool { return strings.Contains("\n"+e.Xattrs, "\nuser.") }},
	{"with access control lists", func(_ string, e snaptest.Entry) bool { return strings.Contains(e.Xattrs, "system.posix_acl_") }},
	{"with security.* or trusted.* attributes", func(_ string, e snaptest.Entry) bool {
		return strings.Contains("\n"+e.Xattrs, "\nsecurity.") || strings.Contains("\n"+e.Xattrs, "\ntrusted.")
	}},
}

// Every kind of file goes to a bucket with the real program and comes back as it was, by it and by recover.py.
func TestEveryKindOfFile(t *testing.T) {
	server := miniotest.Start(t)
	remote := "s3://" + server.Bucket(t) + "/files"
	const hole = 256 << 20
	many := 10_000
	if s := os.Getenv("LIFEBOAT_TEST_MANY"); s != "" {
		if _, err := fmt.Sscan(s, &many); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d files in one directory; LIFEBOAT_TEST_MANY=50000 makes it so many", many)
	home := snaptest.TempDir(t)
	tree, other := filepath.Join(home, "tree"), filepath.Join(home, "other")
	skipped := makeTrees(t, tree, other, many, hole)
	want := walkTrees(t, tree, other)

	first := newMachine(t, server)
	var report struct {
		State        string
		Files        int64
		ProblemCount int64 `json:"problem_count"`
		Problems     []struct{ Kind, Path string }
	}
	first.must(&report, "backup", tree, other, "--app", "files", "--remote", remote)
	if report.State != "complete" || report.Files != int64(len(want)) {
		t.Errorf("state %s, %d files, want %d", report.State, report.Files, len(want))
	}
	said := 0
	for _, p := range report.Problems {
		if p.Kind == "skipped" {
			said++
		}
	}
	if said != skipped {
		t.Errorf("%d entries were skipped and said so, want %d: %+v", said, skipped, report.Problems)
	}
	first.must(nil, "validate", "--read-data", "--app", "files", "--remote", remote)

	second := newMachine(t, server)
	out, _, _ := second.run("ls", "-l", "latest", "--remote", remote)
	if lines := strings.Count(out, "\n"); lines != len(want) || strings.ContainsFunc(strings.ReplaceAll(out, "\n", ""), func(r rune) bool { return unicode.IsControl(r) || r == '\u202e' }) || !utf8.ValidString(out) {
		t.Errorf("ls shows %d lines, want %d, or what a terminal would act upon", lines, len(want))
	}
	name := filepath.Join(other, "new\nline \x1b[31m?#%")
	out, errs, code := second.run("cat", "latest", "other/"+filepath.Base(name), "--remote", remote)
	if code != 0 || out != "content" {
		t.Errorf("cat: exit code %d, %q, %s", code, out, errs)
	}

	restored := filepath.Join(snaptest.TempDir(t), "restored")
	args := []string{"restore", "latest", "--remote", remote, "--target", restored}
	mask := uint32(0o6000)
	if os.Geteuid() == 0 {
		args, mask = append(args, "--privileged-metadata"), 0
	}
	second.must(nil, args...)
	got := walkTrees(t, filepath.Join(restored, "tree"), filepath.Join(restored, "other"))
	if diff := snaptest.Diff(want, got, mask); diff != "" {
		t.Errorf("after the restore:\n%s", diff)
	}
	if used := blocks(t, filepath.Join(restored, "tree", "sparse")); used > 8<<20 {
		t.Errorf("a sparse file takes %d bytes after the restore", used)
	}

	recoverytest.Need(t)
	store := filepath.Join(first.home, "lifeboat")
	recovered := filepath.Join(recoverytest.TempDir(t), "recovered")
	var list struct{ Snapshots []struct{ Stamp string } }
	first.must(&list, "list", "--app", "files")
	r := recoverytest.Run(t, recoverytest.Python, store, list.Snapshots[0].Stamp, recovered, "LIFEBOAT_PRIVILEGED=1")
	if r.Code != 0 {
		t.Fatalf("recover.py: exit code %d\n%.2000s", r.Code, r.Stderr)
	}
	byHand := walkTrees(t, filepath.Join(recovered, "tree"), filepath.Join(recovered, "other"))
	if diff := snaptest.Diff(want, byHand, mask); diff != "" {
		t.Errorf("after recover.py:\n%s", diff)
	}
	t.Log(table(want, got, byHand, mask, skipped))
}

// makeTrees makes two sources, and returns how many things are in them that have no content.
func makeTrees(t *testing.T, tree, other string, many int, hole int64) (skipped int) {
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for seed := range uint64(4) {
		snaptest.OddTree{Seed: 100 + seed, Entries: 150, Root: os.Geteuid() == 0}.Make(t, filepath.Join(tree, fmt.Sprintf("odd%d", seed)))
	}
	check(os.Mkdir(filepath.Join(tree, "many"), 0o755))
	for i := range many {
		check(os.WriteFile(filepath.Join(tree, "many", fmt.Sprintf("file %d", i)), fmt.Appendf(nil, "content %d", i), 0o644))
	}
	snaptest.WriteFile(t, filepath.Join(tree, "sparse"), 3<<20, snaptest.Random, 1)
	check(os.Truncate(filepath.Join(tree, "sparse"), hole))
	deep := tree
	for range 13 {
		deep = filepath.Join(deep, strings.Repeat("deep", 60))
	}
	check(os.MkdirAll(deep, 0o755))
	check(os.WriteFile(filepath.Join(deep, "file"), []byte("deep"), 0o644))
	check(os.Mkdir(other, 0o755))
	check(os.WriteFile(filepath.Join(other, "new\nline \x1b[31m?#%"), []byte("content"), 0o644))
	// Names of one file in two sources, and of one database.
	check(os.WriteFile(filepath.Join(tree, "shared"), []byte("shared"), 0o644))
	check(os.Link(filepath.Join(tree, "shared"), filepath.Join(other, "shared")))
	db, err := sqlitedb.OpenApp(filepath.Join(tree, "one.db"))
	check(err)
	for _, q := range []string{"PRAGMA journal_mode=wal", "CREATE TABLE t(x)", "INSERT INTO t VALUES(randomblob(100000))"} {
		_, err := db.Exec(q)
		check(err)
	}
	check(db.Close())
	check(os.Link(filepath.Join(tree, "one.db"), filepath.Join(tree, "two.db")))
	// What has no content.
	check(syscall.Mkfifo(filepath.Join(other, "pipe"), 0o644))
	socket, err := os.MkdirTemp("", "s") // the path of a socket is at most 104 bytes long
	check(err)
	defer os.RemoveAll(socket)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(socket, "s"), Net: "unix"})
	check(err)
	l.SetUnlinkOnClose(false)
	check(os.Rename(filepath.Join(socket, "s"), filepath.Join(other, "socket")))
	check(l.Close())
	skipped = 2
	if os.Geteuid() == 0 && syscall.Mknod(filepath.Join(other, "device"), syscall.S_IFCHR|0o600, 1<<8|3) == nil {
		skipped++
	}
	return skipped
}

// walkTrees describes two sources as one tree, without what has no content.
func walkTrees(t *testing.T, tree, other string) map[string]snaptest.Entry {
	t.Helper()
	all := map[string]snaptest.Entry{}
	for name, dir := range map[string]string{"tree": tree, "other": other} {
		for path, e := range snaptest.Walk(t, dir) {
			if !slices.Contains([]string{"file", "directory", "symlink"}, e.Type) {
				continue
			}
			if e.First != "" {
				e.First = filepath.Join(name, e.First)
			}
			all[filepath.Join(name, path)] = e
		}
	}
	return all
}

func blocks(t *testing.T, path string) int64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Blocks) * 512
}

// table counts what was there by kind, and what is the same in two restores.
func table(want, restored, byHand map[string]snaptest.Entry, mask uint32, skipped int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n| kind | made | the same after restore | after recover.py |\n| --- | ---: | ---: | ---: |\n")
	for _, k := range kinds {
		var n, same, sameByHand int
		for path, e := range want {
			if !k.is(path, e) {
				continue
			}
			n++
			one := func(tree map[string]snaptest.Entry) int {
				got := map[string]snaptest.Entry{}
				if g, ok := tree[path]; ok {
					got[path] = g
				}
				if snaptest.Diff(map[string]snaptest.Entry{path: e}, got, mask) == "" {
					return 1
				}
				return 0
			}
			same += one(restored)
			sameByHand += one(byHand)
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", k.name, n, same, sameByHand)
	}
	fmt.Fprintf(&b, "| sockets, pipes, devices: skipped and said | %d | | |\n", skipped)
	return b.String()
}
