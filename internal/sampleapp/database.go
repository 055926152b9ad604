package sampleapp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"

	"lifeboat/internal/sqlitedb"
)

// schema of the application's database. Accounts count the transfers that they took part in.
const schema = `
CREATE TABLE accounts(
	id        INTEGER PRIMARY KEY,
	owner     TEXT NOT NULL,
	opening   INTEGER NOT NULL,
	balance   INTEGER NOT NULL,
	transfers INTEGER NOT NULL DEFAULT 0);
CREATE TABLE transfers(
	id     INTEGER PRIMARY KEY AUTOINCREMENT,
	source INTEGER NOT NULL REFERENCES accounts(id),
	target INTEGER NOT NULL REFERENCES accounts(id),
	amount INTEGER NOT NULL CHECK(amount > 0));
CREATE TABLE messages(
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	account INTEGER NOT NULL REFERENCES accounts(id),
	body    TEXT NOT NULL);
CREATE INDEX messages_account ON messages(account);`

// A session is one connection to a database: with more than one, PRAGMA and BEGIN would not mean the
// same one.
type session struct {
	*sql.Conn
	db *sql.DB
}

// connect opens a database and runs statements on the connection. Unless create is true the database
// must exist. The caller closes it.
func connect(ctx context.Context, path string, create bool, setup ...string) (*session, error) {
	if !create {
		if _, err := os.Stat(path); err != nil {
			return nil, err
		}
	}
	db, err := sqlitedb.OpenApp(path)
	if err != nil {
		return nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		db.Close()
		return nil, err
	}
	s := &session{conn, db}
	for _, statement := range setup {
		if err := s.exec(ctx, statement); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// Close closes the connection; as the last one, it checkpoints a WAL database and removes its sidecars.
func (s *session) Close() error { return errors.Join(s.Conn.Close(), s.db.Close()) }

func (s *session) exec(ctx context.Context, statement string, args ...any) error {
	_, err := s.ExecContext(ctx, statement, args...)
	if err != nil {
		return fmt.Errorf("%.40s: %w", statement, err)
	}
	return nil
}

// transaction runs work between BEGIN IMMEDIATE, which waits for other writers before anything was
// read, and COMMIT; or ROLLBACK when it fails.
func (s *session) transaction(ctx context.Context, work func() error) error {
	if err := s.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := work()
	if err == nil {
		err = s.exec(ctx, "COMMIT")
	}
	if err != nil {
		return errors.Join(err, s.exec(context.WithoutCancel(ctx), "ROLLBACK"))
	}
	return nil
}

// createDatabase makes the database with its accounts, some messages, and some transfers.
func createDatabase(ctx context.Context, path string, owners []string, random *rand.Rand) (err error) {
	s, err := connect(ctx, path, true, "PRAGMA journal_mode=WAL", "PRAGMA foreign_keys=ON")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.transaction(ctx, func() error {
		if err := s.exec(ctx, schema); err != nil {
			return err
		}
		if err := s.insertAccounts(ctx, owners); err != nil {
			return err
		}
		t, err := newTeller(ctx, s, random)
		if err != nil {
			return err
		}
		defer t.Close()
		for range moved {
			if err := t.transfer(ctx); err != nil {
				return err
			}
		}
		for range messages {
			if err := t.message(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *session) insertAccounts(ctx context.Context, owners []string) error {
	insert, err := s.PrepareContext(ctx, "INSERT INTO accounts(id, owner, opening, balance) VALUES(?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	for i, owner := range owners {
		if _, err := insert.ExecContext(ctx, i+1, owner, Opening, Opening); err != nil {
			return err
		}
	}
	return nil
}
