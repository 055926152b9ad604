package data

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// The part of Chroma's schema that holds its bytes.
const chromaSchema = `
CREATE TABLE collections(id TEXT PRIMARY KEY, name TEXT, dimension INTEGER);
CREATE TABLE embeddings(id INTEGER PRIMARY KEY, segment_id TEXT NOT NULL, embedding_id TEXT NOT NULL, seq_id BLOB NOT NULL, created_at TIMESTAMP, UNIQUE(segment_id, embedding_id));
CREATE TABLE embedding_metadata(id INTEGER, key TEXT NOT NULL, string_value TEXT, int_value INTEGER, float_value REAL, PRIMARY KEY(id, key)) WITHOUT ROWID;
CREATE TABLE embeddings_queue(seq_id INTEGER PRIMARY KEY, created_at INTEGER, operation INTEGER NOT NULL, topic TEXT NOT NULL, id TEXT NOT NULL, vector BLOB, encoding TEXT, metadata TEXT);
CREATE VIRTUAL TABLE embedding_fulltext_search USING fts5(string_value, tokenize='unicode61');`

const (
	indexes         = 3
	vectorsPerIndex = 40_000
	documents       = 30_000
	queuedOf        = 2 // every second document is still in the queue
)

// chroma makes a vector store like Chroma's in the directory dir.
func chroma(dir string) (err error) {
	rnd := random(partChroma, 0)
	segments := make([]string, indexes)
	for i := range segments {
		segments[i] = uuid(rnd)
		if err := hnsw(filepath.Join(dir, segments[i]), vectorsPerIndex, uint64(i)); err != nil {
			return err
		}
	}
	db, err := openDatabase(filepath.Join(dir, "chroma.sqlite3"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDatabase(db)) }()
	if _, err := db.Exec(chromaSchema); err != nil {
		return err
	}
	txt := newText(rnd)
	for from := 0; from < documents; from += rowsPerCommit / 4 {
		if err := commit(db, func(tx *sql.Tx) error {
			for id := from; id < min(from+rowsPerCommit/4, documents); id++ {
				if err := document(tx, rnd, id, segments[id%indexes], txt.take(600)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// document inserts one document the way Chroma spreads it over its tables.
func document(tx *sql.Tx, rnd *rand.Rand, id int, segment, content string) error {
	name := uuid(rnd)
	if _, err := tx.Exec(`INSERT INTO embeddings VALUES(?,?,?,?,?)`, id, segment, name, binary.BigEndian.AppendUint64(nil, uint64(id)), "2026-01-01 00:00:00"); err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO embedding_metadata(id, key, string_value) VALUES(?,'chroma:document',?)`, id, content); err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO embedding_metadata(id, key, int_value) VALUES(?,'chunk',?)`, id, id%7); err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO embedding_fulltext_search(rowid, string_value) VALUES(?,?)`, id, content); err != nil {
		return err
	}
	if id%queuedOf != 0 {
		return nil
	}
	_, err := tx.Exec(`INSERT INTO embeddings_queue VALUES(?,?,0,'persistent://default/default/documents',?,?,'FLOAT32',?)`,
		id, firstDay+id, name, appendVector(nil, rnd), meta(rnd))
	return err
}

// uuid returns a random UUID of version 4 in its text form.
func uuid(rnd *rand.Rand) string {
	a, b := rnd.Uint64(), rnd.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, 0x8000|b>>48&0x3fff, b&0xffff_ffff_ffff)
}

// create makes a file and fills it with what write appends to a buffer, n times.
func create(path string, n int, write func(b []byte, i int) []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var b []byte
	for i := range n {
		if b = write(b, i); len(b) > 1<<20 {
			if _, err := f.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	if _, err := f.Write(b); err != nil {
		return err
	}
	return f.Close()
}
