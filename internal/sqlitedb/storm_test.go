package sqlitedb_test

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"lifeboat/internal/sqlitedb"
)

const (
	accounts = 2000
	total    = accounts * 100
)

func bank(mode string) []string {
	return []string{
		"PRAGMA journal_mode=" + mode,
		"CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, note TEXT)",
		"CREATE TABLE transfer(id INTEGER PRIMARY KEY, source INTEGER, target INTEGER, amount INTEGER)",
		"CREATE INDEX by_balance ON account(balance)",
		fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<%d) INSERT INTO account SELECT i, 100, hex(randomblob(40)) FROM n", accounts),
	}
}

// A report is what a teller says when it ends.
type report struct {
	Commits int
	Errors  []string
	Longest time.Duration // of a transfer
}

// runTeller moves money between accounts as fast as it can, or with a pause of its third argument after each transfer, until its input ends. Every
// transfer is a transaction over three tables and an index, so any mixture of two states breaks an invariant.
func runTeller(args []string) error {
	db, err := sql.Open("sqlite", uri(args[0], "_busy_timeout=30000&_txlock=immediate&_pragma=synchronous(0)&_pragma=wal_autocheckpoint("+args[1]+")"))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	var rest time.Duration
	if len(args) > 2 {
		if rest, err = time.ParseDuration(args[2]); err != nil {
			return err
		}
	}
	stop := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	var r report
	for {
		began := time.Now()
		if err := transfer(db); err != nil {
			r.Errors = append(r.Errors, err.Error())
		} else if r.Commits++; r.Commits == 1 {
			fmt.Println("ready")
		}
		r.Longest = max(r.Longest, time.Since(began))
		select {
		case <-stop:
			return json.NewEncoder(os.Stdout).Encode(r)
		case <-time.After(rest):
		}
	}
}

func transfer(db *sql.DB) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	from, to, amount := rand.IntN(accounts)+1, rand.IntN(accounts)+1, rand.IntN(50)
	if _, err := tx.Exec("UPDATE account SET balance=balance-?, note=hex(randomblob(40)) WHERE id=?", amount, from); err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE account SET balance=balance+?, note=hex(randomblob(40)) WHERE id=?", amount, to); err != nil {
		return err
	}
	if _, err := tx.Exec("INSERT INTO transfer(source, target, amount) VALUES(?,?,?)", from, to, amount); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM transfer WHERE id < (SELECT max(id) FROM transfer) - 3000"); err != nil {
		return err
	}
	return tx.Commit()
}

// tellers starts writers, and returns how to stop them and hear what they did.
func tellers(t testing.TB, path string, autocheckpoint ...int) (stop func() []report) {
	t.Helper()
	var args [][]string
	for _, n := range autocheckpoint {
		args = append(args, []string{strconv.Itoa(n)})
	}
	return tellersWith(t, path, args...)
}

// tellersWith gives each of them its arguments behind the path.
func tellersWith(t testing.TB, path string, args ...[]string) (stop func() []report) {
	t.Helper()
	type teller struct {
		in  io.Closer
		out *bufio.Reader
		end func() error
	}
	var all []teller
	for _, own := range args {
		cmd := command(t, "teller", append([]string{path}, own...)...)
		in, out := startPiped(t, cmd)
		one := teller{in, bufio.NewReader(out), cmd.Wait}
		if line, err := one.out.ReadString('\n'); line != "ready\n" {
			t.Fatalf("teller: %q, %v", line, err)
		}
		all = append(all, one)
	}
	return sync.OnceValue(func() (reports []report) {
		for _, one := range all {
			one.in.Close()
			var r report
			if err := json.NewDecoder(one.out).Decode(&r); err != nil {
				t.Error(err)
			}
			if err := one.end(); err != nil {
				t.Error(err)
			}
			reports = append(reports, r)
		}
		return reports
	})
}

// Writers at full speed, with checkpoints as often as they can be had: every capture is one state.
func TestCaptureUnderWriters(t *testing.T) {
	for mode, captures := range map[string]int{"WAL": 25, "DELETE": 25, "TRUNCATE": 8, "PERSIST": 8} {
		if testing.Short() {
			captures = 3
		}
		t.Run(mode, func(t *testing.T) {
			path := build(t, bank(mode)...)
			stop := tellers(t, path, 1000, 20)
			defer stop()
			var before int
			for range captures {
				p := pin(t, path)
				img := image(t, p)
				result, detail, err := p.QuickCheck(t.Context())
				if err != nil || result != sqlitedb.OK {
					t.Fatalf("quick check in the pinned transaction: %s, %v: %s", result, err, detail)
				}
				facts, err := p.ReadFacts(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Close(); err != nil {
					t.Fatal(err)
				}
				sound(t, img)
				if sum := inspect(t, img, "SELECT sum(balance) FROM account"); sum != strconv.Itoa(total) {
					t.Fatalf("the accounts hold %s, not %d", sum, total)
				}
				again, err := sqlitedb.ImageFacts(t.Context(), img)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, again, facts)
				newest, err := strconv.Atoi(inspect(t, img, "SELECT max(id) FROM transfer"))
				if err != nil || newest < before {
					t.Fatalf("capture went back from transfer %d to %d: %v", before, newest, err)
				}
				before = newest
				if err := os.Remove(img); err != nil {
					t.Fatal(err)
				}
			}
			for _, r := range stop() {
				t.Logf("%d commits during %d captures", r.Commits, captures)
				if mode == "WAL" && len(r.Errors) > 0 {
					t.Errorf("a writer in WAL mode was disturbed: %s", r.Errors)
				}
				if len(r.Errors) > 0 {
					t.Logf("errors: %q", r.Errors[0])
				}
			}
			if before < 10 {
				t.Errorf("nothing was written meanwhile")
			}
		})
	}
}

// Writers at full speed, and such that commit now and then, to databases that are copied in slices of a few milliseconds: every copy is one state,
// and no writer gets an error.
func TestDetachUnderWriters(t *testing.T) {
	// One writer each, for two that never rest would starve each other.
	for name, pause := range map[string]string{"never resting": "0s", "now and then": "5ms"} {
		for _, mode := range []string{"DELETE", "TRUNCATE", "PERSIST"} {
			t.Run(mode+", "+name, func(t *testing.T) {
				path := build(t, bank(mode)...)
				stop := tellersWith(t, path, []string{"1000", pause})
				defer stop()
				var before, slices, unbroken int
				captures := 0
				for captures < 5 || before < 10 || slices == captures {
					captures++
					p, err := sqlitedb.Pin(t.Context(), path, sqlitedb.Options{Scratch: t.TempDir(), Wait: time.Minute, MaxBlock: 300 * time.Microsecond})
					if err != nil {
						t.Fatal(err)
					}
					defer p.Close()
					if err := p.Detach(t.Context()); err != nil {
						t.Fatal(err)
					}
					slices += p.Slices()
					if p.Unbroken() {
						unbroken++
					}
					img := image(t, p)
					if err := p.Close(); err != nil {
						t.Fatal(err)
					}
					sound(t, img)
					if sum := inspect(t, img, "SELECT sum(balance) FROM account"); sum != strconv.Itoa(total) {
						t.Fatalf("the accounts hold %s, not %d", sum, total)
					}
					newest, err := strconv.Atoi(inspect(t, img, "SELECT max(id) FROM transfer"))
					if err != nil || newest < before {
						t.Fatalf("capture went back from transfer %d to %d: %v", before, newest, err)
					}
					before = newest
				}
				for _, r := range stop() {
					t.Logf("%d commits during %d captures in %d slices, the longest took %v; %d times the last resort", r.Commits, captures, slices, r.Longest, unbroken)
					if len(r.Errors) > 0 {
						t.Errorf("a writer was disturbed: %s", r.Errors)
					}
				}
			})
		}
	}
}
