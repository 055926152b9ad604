package sqlitedb_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"lifeboat/internal/sqlitedb"
)

// pin pins a database for the test, which must succeed.
func pin(t testing.TB, path string) *sqlitedb.Pinned {
	t.Helper()
	p, err := sqlitedb.Pin(t.Context(), path, sqlitedb.Options{Scratch: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// image streams what is pinned into a new file.
func image(t testing.TB, p *sqlitedb.Pinned) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.db")
	if err := saveAs(t.Context(), p, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func saveAs(ctx context.Context, p *sqlitedb.Pinned, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return save(ctx, p, f)
}

func save(ctx context.Context, p *sqlitedb.Pinned, to io.Writer) error {
	w := bufio.NewWriterSize(to, 1<<20)
	err := p.Stream(ctx, func(_ uint32, page []byte) error {
		_, err := w.Write(page)
		return err
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

// capture pins, saves and unpins.
func capture(t testing.TB, path string) string {
	t.Helper()
	p := pin(t, path)
	defer p.Close()
	return image(t, p)
}

// runCapture does the task in args[0] in a process of its own. It says when the database is pinned, holds it until its input ends,
// and then says what it captured.
func runCapture(args []string) error {
	var do task
	if err := json.Unmarshal([]byte(args[0]), &do); err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	return out.Encode(do.run(context.Background(), func() {
		if err := out.Encode(captured{}); err == nil {
			io.Copy(io.Discard, os.Stdin)
		}
	}))
}

// same fails unless two files hold the same bytes.
func same(t testing.TB, got, want string) {
	t.Helper()
	a, err := os.ReadFile(got)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Errorf("%d bytes were captured that are not the %d bytes of the database", len(a), len(b))
	}
}

// sound fails unless the full check of an image finds nothing.
func sound(t testing.TB, path string) {
	t.Helper()
	result, detail, err := sqlitedb.Check(t.Context(), path, sqlitedb.Full)
	if err != nil || result != sqlitedb.OK {
		t.Errorf("image: %s, %v: %s", result, err, detail)
	}
}
