package sqlitedb_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"lifeboat/internal/sqlitedb"
)

// runPacer counts in several databases, one after the other: each is at most one step behind the one before it, and
// never ahead. It ends with its input.
func runPacer(paths []string) error {
	var all []*sql.DB
	for _, path := range paths {
		db, err := sql.Open("sqlite", uri(path, "_busy_timeout=30000&_pragma=synchronous(0)"))
		if err != nil {
			return err
		}
		defer db.Close()
		db.SetMaxOpenConns(1)
		all = append(all, db)
	}
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	for n := 1; ; n++ {
		for _, db := range all {
			if _, err := db.Exec("UPDATE counter SET n=?", n); err != nil {
				return err
			}
		}
		if n == 1 {
			fmt.Println("ready")
		}
		select {
		case <-ended:
			return nil
		case <-time.After(300 * time.Microsecond):
		}
	}
}

// Databases that are pinned together are at one instant.
func TestPinTogether(t *testing.T) {
	rounds := 30
	if testing.Short() {
		rounds = 10
	}
	for _, mode := range []string{"wal", "delete"} {
		t.Run(mode, func(t *testing.T) {
			var paths []string
			for range 3 {
				paths = append(paths, build(t, "PRAGMA journal_mode="+mode, "CREATE TABLE counter(n INTEGER)", "INSERT INTO counter VALUES(0)"))
			}
			cold := build(t, wal, table, fill)
			age(t, filepath.Dir(cold))
			cmd := command(t, "pacer", paths...)
			in, out := startPiped(t, cmd)
			defer func() {
				in.Close()
				if err := cmd.Wait(); err != nil {
					t.Error(err)
				}
			}()
			if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
				t.Fatal(line, err)
			}
			var proven, last int
			for round := range rounds {
				// In turn, so that it does not happen to be the order in which they are written.
				order := slices.Concat(paths[round%3:], paths[:round%3], []string{cold})
				got, err := sqlitedb.PinTogether(t.Context(), order, sqlitedb.TogetherOptions{})
				if err != nil {
					t.Fatal(err)
				}
				count := map[string]int{}
				for i, p := range got.Pins {
					img := image(t, p)
					if err := p.Close(); err != nil {
						t.Fatal(err)
					}
					if order[i] == cold {
						same(t, img, cold)
						continue
					}
					if count[order[i]], err = strconv.Atoi(inspect(t, img, "SELECT n FROM counter")); err != nil {
						t.Fatal(err)
					}
				}
				a, b, c := count[paths[0]], count[paths[1]], count[paths[2]]
				if got.Proven {
					proven++
					if b > a || c > b || a-c > 1 {
						t.Errorf("pinned at counts %d, %d and %d", a, b, c)
					}
				}
				last = a
			}
			t.Logf("%d of %d rounds proven, at %d steps", proven, rounds, last)
			if proven == 0 || last < 2 {
				t.Errorf("nothing was shown")
			}
		})
	}
}

// One that can't be pinned is left out, and the others are at one instant. A context that ends leaves none pinned.
func TestPinTogetherFails(t *testing.T) {
	good := build(t, table)
	got, err := sqlitedb.PinTogether(t.Context(), []string{good + ".absent", good}, sqlitedb.TogetherOptions{})
	if err != nil || !got.Proven || got.Pins[0] != nil || !errors.Is(got.Errs[0], fs.ErrNotExist) || got.Pins[1] == nil || got.Errs[1] != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	got.Close()
	ctx, cancel := context.WithCancel(t.Context())
	got, err = sqlitedb.PinTogether(ctx, []string{good}, sqlitedb.TogetherOptions{Pinned: cancel})
	if !errors.Is(err, context.Canceled) || got != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := start(t, good, "PRAGMA busy_timeout=0").try("INSERT INTO t VALUES(1, 'not locked')"); err != nil {
		t.Error(err)
	}
}

// Whatever state each of them is in.
func TestPinTogetherOfEverySituation(t *testing.T) {
	var paths []string
	for _, s := range situations {
		path := filepath.Join(t.TempDir(), "app.db")
		s.make(t, path)
		age(t, filepath.Dir(path))
		paths = append(paths, path)
	}
	got, err := sqlitedb.PinTogether(t.Context(), paths, sqlitedb.TogetherOptions{Options: sqlitedb.Options{Scratch: t.TempDir()}})
	if err != nil || !got.Proven {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, p := range got.Pins {
		if n := situations[i].rows; n != none {
			equal(t, inspect(t, image(t, p), "SELECT count(*) FROM t WHERE v<>'spoilt'"), n)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}
