package sampleapp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"
)

// registryEvery is after how many commits of a writer it replaces the registry.
const registryEvery = 500

// WriteOptions say how Write works.
type WriteOptions struct {
	Seed uint64 // of what is written; any will do

	// Pause is the time between two commits. Zero is as long as the last one had the lock, so that
	// other writers get their turn: SQLite's lock is not fair, and who always comes back at once can
	// keep it from the others until they give up. A negative pause is none, for a writer that is
	// alone.
	Pause time.Duration
}

// Write is the application at work: it moves money between accounts, each time in a transaction of its
// own, adds a message to every fourth, and replaces the registry now and then. It goes on until ctx is
// done and then returns how many transactions it committed, or until the application gets an error,
// which it returns too. In WAL mode no backup may ever cause one. After each commit it calls committed,
// unless that is nil, with their number so far.
//
// Several processes may write at a time. One that is killed leaves a sound state and maybe a temporary
// file beside the registry.
func Write(ctx context.Context, dir string, opts WriteOptions, committed func(commits int)) (commits int, err error) {
	// A transaction that has begun is ended, so nothing but the loop looks at ctx.
	working := context.WithoutCancel(ctx)
	s, err := connect(working, filepath.Join(dir, DatabaseName), false, "PRAGMA synchronous=NORMAL", "PRAGMA foreign_keys=ON")
	if err != nil {
		return 0, fmt.Errorf("sample application: %w", err)
	}
	defer func() {
		if e := s.Close(); e != nil {
			err = errors.Join(err, fmt.Errorf("sample application: close: %w", e))
		}
	}()
	t, err := newTeller(working, s, nil)
	if err != nil {
		return 0, fmt.Errorf("sample application: %w", err)
	}
	defer t.Close()
	count, err := t.count(working)
	if err != nil {
		return 0, fmt.Errorf("sample application: %w", err)
	}
	t.random = rand.New(rand.NewPCG(opts.Seed, uint64(count)))

	for ctx.Err() == nil {
		var begun time.Time // after the wait for the lock
		err := s.transaction(working, func() error {
			begun = time.Now()
			if err := t.transfer(working); err != nil || commits%4 != 0 {
				return err
			}
			return t.message(working)
		})
		if err != nil {
			return commits, fmt.Errorf("sample application: after %d commits: %w", commits, err)
		}
		took := time.Since(begun)
		commits++
		if committed != nil {
			committed(commits)
		}
		if commits%registryEvery == 0 {
			if err := t.updateRegistry(working, dir); err != nil {
				return commits, fmt.Errorf("sample application: after %d commits: %w", commits, err)
			}
		}
		rest(ctx, opts.Pause, took)
	}
	return commits, nil
}

// rest waits between two commits, until ctx is done.
func rest(ctx context.Context, pause, took time.Duration) {
	if pause == 0 {
		pause = took
	}
	if pause < 0 {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// A teller has the statements that change the database. They run in the caller's transaction.
type teller struct {
	random                     *rand.Rand
	take, give, record, append *sql.Stmt
	last                       *sql.Stmt
}

func newTeller(ctx context.Context, s *session, random *rand.Rand) (*teller, error) {
	t := &teller{random: random}
	for _, p := range []struct {
		dst   **sql.Stmt
		query string
	}{
		{&t.take, "UPDATE accounts SET balance = balance - ?, transfers = transfers + 1 WHERE id = ?"},
		{&t.give, "UPDATE accounts SET balance = balance + ?, transfers = transfers + 1 WHERE id = ?"},
		{&t.record, "INSERT INTO transfers(source, target, amount) VALUES(?, ?, ?)"},
		{&t.append, "INSERT INTO messages(account, body) VALUES(?, ?)"},
		{&t.last, "SELECT coalesce(max(id), 0) FROM transfers"},
	} {
		stmt, err := s.PrepareContext(ctx, p.query)
		if err != nil {
			t.Close()
			return nil, err
		}
		*p.dst = stmt
	}
	return t, nil
}

// Close ends the statements.
func (t *teller) Close() {
	for _, stmt := range []*sql.Stmt{t.take, t.give, t.record, t.append, t.last} {
		if stmt != nil {
			stmt.Close()
		}
	}
}

// transfer moves money from one account to another. An account may be overdrawn.
func (t *teller) transfer(ctx context.Context) error {
	source := 1 + t.random.IntN(Accounts)
	target := 1 + (source+t.random.IntN(Accounts-1))%Accounts // another one
	amount := 1 + t.random.IntN(500)
	if _, err := t.take.ExecContext(ctx, amount, source); err != nil {
		return fmt.Errorf("take from account %d: %w", source, err)
	}
	if _, err := t.give.ExecContext(ctx, amount, target); err != nil {
		return fmt.Errorf("give to account %d: %w", target, err)
	}
	if _, err := t.record.ExecContext(ctx, source, target, amount); err != nil {
		return fmt.Errorf("record transfer: %w", err)
	}
	return nil
}

// message appends a message.
func (t *teller) message(ctx context.Context) error {
	if _, err := t.append.ExecContext(ctx, 1+t.random.IntN(Accounts), newText(t.random)); err != nil {
		return fmt.Errorf("append message: %w", err)
	}
	return nil
}

// count returns how many transfers there are: none is ever removed, so it is the last one's number.
func (t *teller) count(ctx context.Context) (n int64, err error) {
	if err := t.last.QueryRowContext(ctx).Scan(&n); err != nil {
		return 0, fmt.Errorf("count transfers: %w", err)
	}
	return n, nil
}

// updateRegistry replaces the registry by one that counts the transfers committed so far.
func (t *teller) updateRegistry(ctx context.Context, dir string) error {
	count, err := t.count(ctx)
	if err != nil {
		return err
	}
	r, err := readRegistry(dir)
	if err != nil {
		return err
	}
	r.Transfers = count
	return r.write(dir)
}
