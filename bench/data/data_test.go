package data_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"lifeboat/bench/data"
	"lifeboat/internal/sqlitedb"
)

// messages of a database of 4 MiB
const messages = 4 * 508

func big(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "big")
	if err := data.Big(dir, 4); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "big.sqlite")
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bodies returns the text of every message, by its number.
func bodies(t *testing.T, path string) map[int]string {
	t.Helper()
	db, err := sqlitedb.OpenApp(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT id, body FROM messages`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[int]string{}
	for rows.Next() {
		var id int
		var body string
		if err := rows.Scan(&id, &body); err != nil {
			t.Fatal(err)
		}
		out[id] = body
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSameCallSameBytes(t *testing.T) {
	a, b := big(t), big(t)
	if !bytes.Equal(read(t, a), read(t, b)) {
		t.Error("two runs made different databases")
	}
	for range 2 {
		for _, path := range []string{a, b} {
			if err := data.Mutate(path, data.Scatter); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(read(t, a), read(t, b)) {
			t.Error("two runs changed a database differently")
		}
	}
	if left, err := os.ReadDir(filepath.Dir(a)); err != nil || len(left) != 1 {
		t.Errorf("beside the database: %v, %v", left, err)
	}
}

func TestMutate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		where  data.Where
		oldest int // the first message that may change
	}{
		{"scatter", data.Scatter, 1},
		{"recent", data.Recent, messages - messages/50 + 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := big(t)
			before := bodies(t, path)
			if len(before) != messages {
				t.Fatalf("%d messages, want %d", len(before), messages)
			}
			if err := data.Mutate(path, tt.where); err != nil {
				t.Fatal(err)
			}
			after := bodies(t, path)
			if n := len(after) - len(before); n != messages/100 {
				t.Errorf("%d messages appended, want %d", n, messages/100)
			}
			changed, oldest := 0, messages
			for id, body := range before {
				if after[id] != body {
					changed, oldest = changed+1, min(oldest, id)
				}
			}
			if changed != messages/100 || oldest < tt.oldest || tt.where == data.Scatter && oldest > messages/2 {
				t.Errorf("%d messages changed, the oldest %d; want %d, from %d on", changed, oldest, messages/100, tt.oldest)
			}
		})
	}
}

func TestRefusesWhatIsThere(t *testing.T) {
	path := big(t)
	for name, err := range map[string]error{
		"Big": data.Big(filepath.Dir(path), 1), "App": data.App(filepath.Dir(path)), "Small": data.Small(filepath.Dir(path)),
	} {
		if !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s into a directory that is not empty = %v, want fs.ErrExist", name, err)
		}
	}
	if err := data.Mutate(path+"x", data.Scatter); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Mutate without a database = %v, want fs.ErrNotExist", err)
	}
	if _, err := os.Stat(path + "x"); err == nil {
		t.Error("Mutate made a database")
	}
}

// Many makes as many files as it is asked for, and some of them have something in them.
func TestMany(t *testing.T) {
	dir := t.TempDir()
	if err := data.Many(dir, 1001); err != nil {
		t.Fatal(err)
	}
	files, bytes := 0, int64(0)
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		files, bytes = files+1, bytes+info.Size()
		return nil
	})
	if err != nil || files != 1001 || bytes == 0 {
		t.Errorf("%d files of %d bytes, %v", files, bytes, err)
	}
}
