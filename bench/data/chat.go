package data

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"lifeboat/internal/sqlitedb"
)

const chatSchema = `
CREATE TABLE conversations(id INTEGER PRIMARY KEY, title TEXT, created_at INTEGER);
CREATE TABLE messages(id INTEGER PRIMARY KEY, conv_id INTEGER NOT NULL, role TEXT NOT NULL, created_at INTEGER NOT NULL, body TEXT NOT NULL, meta TEXT);
CREATE INDEX messages_by_conversation ON messages(conv_id, created_at);
CREATE TABLE embeddings(id INTEGER PRIMARY KEY, message_id INTEGER NOT NULL UNIQUE, dim INTEGER, vec BLOB NOT NULL);`

const (
	conversations   = 20_000
	rowsPerCommit   = 20_000
	firstDay        = 1_700_000_000 // seconds since 1970
	embeddedOf1000  = 515           // messages that have an embedding
	databasePragmas = `PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-200000; PRAGMA wal_autocheckpoint=20000;`
)

// openDatabase opens or makes a database with one connection that does not wait for the disk.
func openDatabase(path string) (*sql.DB, error) {
	db, err := sqlitedb.OpenApp(path)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // the settings belong to a connection
	if _, err := db.Exec(databasePragmas); err != nil {
		db.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return db, nil
}

// closeDatabase leaves all in the main file: no -wal, no -shm.
func closeDatabase(db *sql.DB) error {
	_, err := db.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`)
	return errors.Join(err, db.Close())
}

// chat makes the chat application's database.
func chat(path string, messages int, seed uint64) (err error) {
	db, err := openDatabase(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDatabase(db)) }()
	if _, err := db.Exec(chatSchema); err != nil {
		return err
	}
	rnd := random(partChat, seed)
	txt := newText(rnd)
	if err := commit(db, func(tx *sql.Tx) error {
		insert, err := tx.Prepare(`INSERT INTO conversations VALUES(?,?,?)`)
		if err != nil {
			return err
		}
		for id := 1; id <= conversations; id++ {
			if _, err := insert.Exec(id, txt.take(40), firstDay+id); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for from := 1; from <= messages; from += rowsPerCommit {
		if err := commit(db, func(tx *sql.Tx) error {
			return appendMessages(tx, rnd, txt, from, min(from+rowsPerCommit-1, messages))
		}); err != nil {
			return err
		}
	}
	return nil
}

// appendMessages inserts the messages numbered from to to, then the embeddings of those that have one, as an
// application does that embeds in batches.
func appendMessages(tx *sql.Tx, rnd *rand.Rand, txt *text, from, to int) error {
	message, err := tx.Prepare(`INSERT INTO messages VALUES(?,?,?,?,?,?)`)
	if err != nil {
		return err
	}
	roles := []string{"user", "assistant", "tool"}
	for id := from; id <= to; id++ {
		body := txt.take(120 + int(1400*math.Pow(rnd.Float64(), 1.6))) // many short, few long; 660 on average
		created := firstDay + 37*id + rnd.IntN(30)
		if _, err := message.Exec(id, 1+rnd.IntN(conversations), roles[rnd.IntN(3)], created, body, meta(rnd)); err != nil {
			return err
		}
	}
	embedding, err := tx.Prepare(`INSERT INTO embeddings(message_id, dim, vec) VALUES(?,?,?)`)
	if err != nil {
		return err
	}
	var vec []byte
	for id := from; id <= to; id++ {
		if id*embeddedOf1000/1000 == (id-1)*embeddedOf1000/1000 {
			continue
		}
		vec = appendVector(vec[:0], rnd)
		if _, err := embedding.Exec(id, dimension, vec); err != nil {
			return err
		}
	}
	return nil
}

// meta returns what an application notes about a message.
func meta(rnd *rand.Rand) string {
	models := []string{"alpha-7b", "beta-70b", "gamma-pro"}
	tags := []string{"work", "home", "code", "draft", "review", "todo", "later"}
	first := rnd.IntN(len(tags))
	second := (first + 1 + rnd.IntN(len(tags)-1)) % len(tags)
	return fmt.Sprintf(`{"id": "%016x%016x", "user": "user_%d", "model": "%s", "tokens": %d, "latency_ms": %d, "tags": ["%s", "%s"], "ok": %t}`,
		rnd.Uint64(), rnd.Uint64(), rnd.IntN(2000), models[rnd.IntN(3)], rnd.IntN(4000), rnd.IntN(20_000), tags[first], tags[second], rnd.IntN(100) > 2)
}

// commit runs work in one transaction.
func commit(db *sql.DB, work func(*sql.Tx) error) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := work(tx); err != nil {
		return err
	}
	return tx.Commit()
}
