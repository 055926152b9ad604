//go:build unix

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"lifeboat/internal/sqlitedb"
)

// An application writes to a database that bench/data made.
type application struct {
	path string
	stop context.CancelFunc
	done chan struct{}

	mu     sync.Mutex
	took   []time.Duration // each commit since the last look
	failed int
	why    error // of the last that failed
	wal    int64 // largest size of the write-ahead log since then
}

// start lets an application write, rate times a second.
func start(path, mode string, rate int) (*application, error) {
	db, err := sqlitedb.OpenApp(path)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // the settings belong to a connection
	if _, err := db.Exec("PRAGMA journal_mode=" + mode + "; PRAGMA synchronous=NORMAL"); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	var rows int
	if err := db.QueryRow("SELECT max(id) FROM messages").Scan(&rows); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	a := &application{path: path, stop: cancel, done: make(chan struct{})}
	var both sync.WaitGroup
	both.Go(func() { a.write(ctx, db, rows, rate) })
	both.Go(func() { a.watch(ctx) })
	go func() {
		both.Wait()
		db.Close()
		close(a.done)
	}()
	return a, nil
}

// end returns when the application has ended.
func (a *application) end() {
	a.stop()
	<-a.done
}

// write commits until ctx is done.
func (a *application) write(ctx context.Context, db *sql.DB, rows, rate int) {
	rnd := rand.New(rand.NewPCG(uint64(rows), 7))
	due := time.Now()
	for ctx.Err() == nil {
		began := time.Now()
		err := commit(db, rnd, rows)
		took := time.Since(began)
		a.mu.Lock()
		if err != nil {
			a.failed, a.why = a.failed+1, err
		} else {
			a.took = append(a.took, took)
		}
		a.mu.Unlock()
		pause := took // SQLite's lock is not fair: who comes back at once can keep it from others for ever
		if rate > 0 {
			if due = due.Add(time.Second / time.Duration(rate)); time.Until(due) < 0 {
				due = time.Now() // what was missed is not made up for
			}
			pause = time.Until(due)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// commit changes a message and appends one.
func commit(db *sql.DB, rnd *rand.Rand, rows int) error {
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	body := fmt.Sprintf("%0600d", rnd.Uint64())
	_, err := db.Exec("UPDATE messages SET body=? WHERE id=?", body, 1+rnd.IntN(rows))
	if err == nil {
		_, err = db.Exec("INSERT INTO messages(conv_id, role, created_at, body) VALUES(?, 'user', 0, ?)", 1+rnd.IntN(1000), body)
	}
	if err == nil {
		_, err = db.Exec("COMMIT")
	}
	if err != nil {
		db.Exec("ROLLBACK")
	}
	return err
}

// watch looks at the size of the write-ahead log until ctx is done.
func (a *application) watch(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		info, err := os.Stat(a.path + "-wal")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			a.mu.Lock()
			a.wal = max(a.wal, info.Size())
			a.mu.Unlock()
		}
	}
}

// Felt is what an application has felt for some time.
type Felt struct {
	Commits                    int
	Median, Percent99, Longest time.Duration
	Failed                     int
	Why                        string `json:",omitempty"`
	WAL                        int64  // bytes
}

// look returns what was felt since the last look.
func (a *application) look() Felt {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := summary(a.took)
	f.Failed, f.WAL = a.failed, a.wal
	if a.why != nil {
		f.Why = a.why.Error()
	}
	a.took, a.failed, a.why, a.wal = nil, 0, nil, 0
	return f
}

func summary(took []time.Duration) (f Felt) {
	if f.Commits = len(took); f.Commits == 0 {
		return f
	}
	sorted := slices.Sorted(slices.Values(took))
	f.Median, f.Percent99, f.Longest = sorted[len(sorted)/2], sorted[len(sorted)*99/100], sorted[len(sorted)-1]
	return f
}
