//go:build unix

package snapshot_test

import (
	"bufio"
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"lifeboat/internal/snaptest"
	"lifeboat/internal/sqlitedb"
	"lifeboat/manifest"
	"lifeboat/restore"
	"lifeboat/snapshot"
)

// bankVariable names the directory of the bank that this program is to be, instead of a test.
const bankVariable = "LIFEBOAT_TEST_BANK"

// money is what the two branches of the bank have together.
const money = 1_000_000

var branches = []string{"north.db", "south.db"}

// runBank moves money between two databases, as fast as it can, until its input ends. Each transfer is a commit in the one, which takes the money and notes
// it as sent, and then a commit in the other, which adds it and notes that it came. So at every instant nothing is missing, if what was sent and has
// not come is counted; and two databases of two instants show money that was never there, or has gone.
func runBank(dir string) error {
	var dbs []*sql.DB
	for _, name := range branches {
		db, err := sqlitedb.OpenApp(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		defer db.Close()
		db.SetMaxOpenConns(1)
		if _, err := db.Exec("PRAGMA synchronous=0"); err != nil {
			return err
		}
		dbs = append(dbs, db)
	}
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	for n := 1; ; n++ {
		from, to, amount := dbs[n%2], dbs[(n+1)%2], n*7919%100+1
		if _, err := from.Exec(fmt.Sprintf("BEGIN IMMEDIATE; UPDATE account SET balance=balance-%d; UPDATE sent SET id=%d, amount=%[1]d; COMMIT", amount, n)); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		if _, err := to.Exec(fmt.Sprintf("BEGIN IMMEDIATE; UPDATE account SET balance=balance+%d; UPDATE came SET id=%d; COMMIT", amount, n)); err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if n == 1 {
			fmt.Println("open")
		}
		select {
		case <-ended:
			fmt.Println(n)
			return nil
		default:
		}
	}
}

// A bank is one that is open.
type bank struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.Closer
	out *bufio.Reader
}

// openBank makes the databases of a bank in dir, in a journal mode, and opens it.
func openBank(t *testing.T, dir, mode string) *bank {
	t.Helper()
	for _, name := range branches {
		db, err := sqlitedb.OpenApp(filepath.Join(dir, name))
		must(t, err)
		_, err = db.Exec(fmt.Sprintf(`PRAGMA journal_mode=%s; CREATE TABLE account(balance INTEGER); INSERT INTO account VALUES(%d);
			CREATE TABLE sent(id INTEGER, amount INTEGER); INSERT INTO sent VALUES(0, 0); CREATE TABLE came(id INTEGER); INSERT INTO came VALUES(0);
			CREATE TABLE ledger(page BLOB); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<50) INSERT INTO ledger SELECT randomblob(4000) FROM n`,
			mode, money/2))
		must(t, err)
		must(t, db.Close())
	}
	self, err := os.Executable()
	must(t, err)
	b := &bank{t: t, cmd: exec.Command(self)}
	b.cmd.Env = append(os.Environ(), bankVariable+"="+dir, "GORACE=atexit_sleep_ms=0")
	b.cmd.Stderr = os.Stderr
	b.in, err = b.cmd.StdinPipe()
	must(t, err)
	out, err := b.cmd.StdoutPipe()
	must(t, err)
	b.out = bufio.NewReader(out)
	must(t, b.cmd.Start())
	t.Cleanup(b.close)
	if line, err := b.out.ReadString('\n'); err != nil || line != "open\n" {
		t.Fatalf("the bank did not open: %q, %v", line, err)
	}
	settle() // the directory, in which the logs are new
	return b
}

// close closes it. It is an error if the bank met one.
func (b *bank) close() {
	if b.in == nil {
		return
	}
	b.in.Close()
	b.in = nil
	line, _ := b.out.ReadString('\n')
	if err := b.cmd.Wait(); err != nil {
		b.t.Errorf("the bank: %v", err)
	}
	b.t.Logf("%d transfers", number(b.t, line))
}

func number(t *testing.T, line string) (n int) {
	if _, err := fmt.Sscanln(line, &n); err != nil {
		t.Error(line, err)
	}
	return n
}

// missing returns how much money is missing in a restored bank.
func missing(t *testing.T, paths []string) int {
	t.Helper()
	var balance, sent, amount, came [2]int
	for i, path := range paths {
		must(t, openDatabase(t, path).QueryRow("SELECT balance, sent.id, amount, came.id FROM account, sent, came").Scan(&balance[i], &sent[i], &amount[i], &came[i]))
	}
	sum := balance[0] + balance[1]
	for i := range sent {
		if sent[i] > came[1-i] {
			sum += amount[i]
		}
	}
	return money - sum
}

// Captures of a bank under full load: nothing is missing in any of which the manifest says that it is of one instant, and most of them are. With the
// barrier, all are.
func TestBank(t *testing.T) {
	captures := 12
	if os.Getenv("LIFEBOAT_TEST_EXHAUSTIVE") != "" {
		captures = 50
	}
	for _, mode := range []string{"wal", "delete"} {
		t.Run(mode, func(t *testing.T) {
			dir := t.TempDir()
			openBank(t, dir, mode)
			var one, far [2]int // by whether there is a barrier
			for i := range captures {
				sources, within := []snapshot.Source{snaptest.Directory("bank", dir)}, []string{"bank", "bank"}
				if i%2 == 1 {
					sources, within = []snapshot.Source{{Name: "n", Path: filepath.Join(dir, branches[0])}, {Name: "s", Path: filepath.Join(dir, branches[1])}}, []string{"n", "s"}
				}
				opts, barrier := snapshot.Options{}, i/2%2
				if barrier == 1 {
					opts = snapshot.Options{Barrier: true, Tries: -1}
				}
				local := snaptest.Local(t)
				res := snaptest.Take(t, local, opts, sources...)
				if res.Head.State != manifest.Complete || res.Head.ProblemCount > 0 {
					t.Fatalf("state %s, problems %+v", res.Head.State, res.Head.Problems)
				}
				if mode == "wal" && (res.Barrier > 0) != (barrier == 1) {
					t.Errorf("writers were locked out for %s", res.Barrier)
				}
				if res.Head.Consistency.Level != manifest.Transactional {
					if mode == "wal" || i%2 == 1 { // else the directory itself changes with every journal
						far[barrier]++
					}
					continue
				}
				if one[barrier]++; res.Head.Consistency.SkewUS != 0 {
					t.Errorf("%+v", res.Head.Consistency)
				}
				target := snaptest.Restore(t, res.ID, restore.Options{}, local.Store)
				if n := missing(t, []string{filepath.Join(target, within[0], branches[0]), filepath.Join(target, within[1], branches[1])}); n != 0 {
					t.Errorf("capture %d: %d missing", i, n)
				}
			}
			t.Logf("of one instant, and not: %v, %v; with the barrier: %v, %v", one[0], far[0], one[1], far[1])
			if one[0] == 0 || far[1] > 0 {
				t.Error("too few are of one instant")
			}
		})
	}
}

// Where there is no proof, nothing is claimed, and money is missing: the same without a try, until it is seen.
func TestBankOfTwoInstants(t *testing.T) {
	dir := t.TempDir()
	openBank(t, dir, "wal")
	for range 200 {
		local := snaptest.Local(t)
		res := snaptest.Take(t, local, snapshot.Options{Tries: -1}, snaptest.Directory("bank", dir))
		target := snaptest.Restore(t, res.ID, restore.Options{}, local.Store)
		n := missing(t, []string{filepath.Join(target, "bank", branches[0]), filepath.Join(target, "bank", branches[1])})
		if c := res.Head.Consistency; n != 0 && (c.Level != manifest.Stable || c.SkewUS == 0) {
			t.Fatalf("%d missing, and it says %+v", n, c)
		}
		if n != 0 {
			return
		}
	}
	t.Error("databases that were pinned one after the other were never of two instants: the bank shows nothing")
}
