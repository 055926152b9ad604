package sampleapp_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/internal/sampleapp"
	"lifeboat/internal/sqlitedb"
)

// edit replaces the content of a file, which may be named by a pattern.
func edit(t *testing.T, dir, pattern string, change func([]byte) []byte) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(paths) != 1 {
		t.Fatalf("%s names %q, %v", pattern, paths, err)
	}
	data, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(paths[0], change(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// execute runs statements on a database of the application.
func execute(t *testing.T, dir, name, statements string) {
	t.Helper()
	db, err := sqlitedb.OpenApp(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statements); err != nil {
		t.Fatal(err)
	}
}

// Each damage must be found, and the message must say what it is about.
func TestVerifyFindsDamage(t *testing.T) {
	cut := func(b []byte) []byte { return b[:len(b)-1] }
	grow := func(b []byte) []byte { return append(b, 0) }
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte {
			b[(at+len(b))%len(b)] ^= 1
			return b
		}
	}
	swap := func(old, new string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(new), 1) }
	}
	sql := func(name, statements string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { execute(t, dir, name, statements) }
	}
	file := func(pattern string, change func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) { edit(t, dir, pattern, change) }
	}
	pristine := os.DirFS(create(t))
	for _, tt := range []struct {
		name   string
		damage func(*testing.T, string)
		want   string
	}{
		{"money made", sql("app.db", "UPDATE accounts SET balance = balance + 1 WHERE id = 7"), "sum of the balances"},
		{"money moved in silence", sql("app.db", "UPDATE accounts SET balance = balance + 1 WHERE id = 7; UPDATE accounts SET balance = balance - 1 WHERE id = 8"), "what the transfers make of them"},
		{"transfer lost", sql("app.db", "DELETE FROM transfers WHERE id = 1000"), "number of the last transfer"},
		{"last transfer lost", sql("app.db", "DELETE FROM transfers WHERE id = 2000"), "halved"},
		{"transfer changed", sql("app.db", "UPDATE transfers SET amount = amount + 1 WHERE id = 5"), "what the transfers make of them"},
		{"count changed", sql("app.db", "UPDATE accounts SET transfers = transfers + 2 WHERE id = 1"), "halved"},
		{"account lost", sql("app.db", "DELETE FROM accounts WHERE id = 1"), "rows without what they refer to"},
		{"account added", sql("app.db", "INSERT INTO accounts VALUES(1001, 'x', 0, 0, 0)"), "accounts: 1001"},
		{"messages lost", sql("app.db", "DELETE FROM messages"), "fewer than there were"},
		{"all transfers lost", sql("app.db", "DELETE FROM transfers; UPDATE accounts SET balance = opening, transfers = 0"), "fewer than there were"},
		{"owner changed", sql("app.db", "UPDATE accounts SET owner = 'x' WHERE id = 1000"), "owners"},
		{"journal mode lost", sql("app.db", "PRAGMA journal_mode=DELETE"), "journal mode: [delete], want [wal]"},
		{"journal mode of chroma", sql("chroma/chroma.sqlite3", "PRAGMA journal_mode=WAL"), "journal mode: [wal], want [delete]"},
		{"index damaged", sql("app.db", "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'messages') WHERE name = 'messages_account'"), "app.db"},
		{"index lies", sql("app.db", "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX messages_account ON messages(body)' WHERE name = 'messages_account'"), "integrity_check"},
		{"page damaged", file("app.db", func(b []byte) []byte {
			copy(b[len(b)/2/4096*4096:], make([]byte, 4096))
			return b
		}), "app.db"},
		{"database cut", file("app.db", func(b []byte) []byte { return b[:len(b)/2] }), "app.db"},
		{"database empty", file("app.db", func([]byte) []byte { return nil }), "app.db"},
		{"registry cut", file("registry.json", func(b []byte) []byte { return b[:len(b)-3] }), "registry.json"},
		{"registry doubled", file("registry.json", func(b []byte) []byte { return append(b, '{') }), "more after its end"},
		{"registry key", file("registry.json", swap(`"total"`, `"tota1"`)), "tota1"},
		{"registry application", file("registry.json", swap(`"sample"`, `"other"`)), "registry: application"},
		{"registry version", file("registry.json", swap(`"version": 1`, `"version": 2`)), "registry: version"},
		{"registry total", file("registry.json", swap(`"total": 1`, `"total": 2`)), "registry: total"},
		{"registry vectors", file("registry.json", swap(`"vectors": 2`, `"vectors": 1`)), "registry: vectors"},
		{"registry transfers", file("registry.json", swap(`"transfers": 2000`, `"transfers": 1999`)), "fewer than there were"},
		{"registry collection", file("registry.json", swap(`"collection": "`, `"collection": "0`)), "chroma.sqlite3: collection"},
		{"registry owner", file("registry.json", swap(` 1000"`, ` 1001"`)), "owners"},
		{"embedding lost", sql("chroma/chroma.sqlite3", "DELETE FROM embedding_metadata WHERE id = 3"), "chroma.sqlite3: documents"},
		{"dimension changed", sql("chroma/chroma.sqlite3", "UPDATE collections SET dimension = 65"), "chroma.sqlite3: dimension"},
		{"segment lost", sql("chroma/chroma.sqlite3", "DELETE FROM segments WHERE scope = 'VECTOR'"), "chroma.sqlite3"},
		{"sequence behind", sql("chroma/chroma.sqlite3", "UPDATE max_seq_id SET seq_id = 1999"), "vectors added"},
		{"header cut", file("chroma/*/header.bin", cut), "header.bin"},
		{"header grown", file("chroma/*/header.bin", grow), "header.bin"},
		{"header count", file("chroma/*/header.bin", flip(20)), "header.bin: elements"},
		{"header element size", file("chroma/*/header.bin", flip(28)), "header.bin: element size"},
		{"header label offset", file("chroma/*/header.bin", flip(36)), "header.bin: label offset"},
		{"vectors cut", file("chroma/*/data_level0.bin", cut), "data_level0.bin"},
		{"vectors grown", file("chroma/*/data_level0.bin", grow), "data_level0.bin"},
		{"last label", file("chroma/*/data_level0.bin", flip(-8)), "has the label"},
		{"lengths cut", file("chroma/*/length.bin", cut), "length.bin"},
		{"length changed", file("chroma/*/length.bin", flip(0)), "link_lists.bin"},
		{"links cut", file("chroma/*/link_lists.bin", cut), "link_lists.bin"},
		{"pickle changed", file("chroma/*/index_metadata.pickle", flip(-3)), "index_metadata.pickle"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, pristine); err != nil {
				t.Fatal(err)
			}
			tt.damage(t, dir)
			_, err := sampleapp.Verify(context.Background(), dir)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Verify = %v, want an error with %q in it", err, tt.want)
			}
		})
	}
}

func TestVerifyMissesNoFile(t *testing.T) {
	dir := create(t)
	for name := range digests(t, dir) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		away := filepath.Join(t.TempDir(), "away")
		if err := os.Rename(path, away); err != nil {
			t.Fatal(err)
		}
		if _, err := sampleapp.Verify(context.Background(), dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Verify without %s = %v, want fs.ErrNotExist", name, err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("Verify made %s", name)
		}
		if err := os.Rename(away, path); err != nil {
			t.Fatal(err)
		}
	}
	verify(t, dir)
}

func TestVerifyReportsEverything(t *testing.T) {
	dir := create(t)
	execute(t, dir, "app.db", "UPDATE accounts SET balance = 0 WHERE id = 1")
	edit(t, dir, "registry.json", func([]byte) []byte { return []byte("{}") })
	edit(t, dir, "chroma/*/link_lists.bin", func([]byte) []byte { return nil })
	_, err := sampleapp.Verify(context.Background(), dir)
	for _, want := range []string{"sum of the balances", "registry: total", "link_lists.bin"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Verify = %v, want %q in it", err, want)
		}
	}
}

// A sidecar that was left over from another state of the database must not go unseen.
func TestVerifySeesStaleSidecars(t *testing.T) {
	dir := create(t)
	path := filepath.Join(dir, "app.db")
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlitedb.OpenApp(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("UPDATE accounts SET balance = balance + 1"); err != nil {
		t.Fatal(err)
	}
	wal, err := os.ReadFile(path + "-wal")
	if err != nil || len(wal) == 0 {
		t.Fatalf("the log has %d bytes, %v", len(wal), err)
	}
	laid := create(t)
	for name, data := range map[string][]byte{"app.db": old, "app.db-wal": wal} {
		if err := os.WriteFile(filepath.Join(laid, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sampleapp.Verify(context.Background(), laid); err == nil || !strings.Contains(err.Error(), "sum of the balances") {
		t.Errorf("Verify with a log that belongs to another state = %v", err)
	}
}
