package data

import (
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
)

const (
	bulkRow  = 60 << 10  // bytes of a row's content, in overflow pages
	bulkText = 4 << 20   // bytes of text, pieces of which are repeated
	bulkSync = 256 << 20 // bytes from one commit to the next
)

// A Mix says of what rows of a hundred consist: so many of noise, which does not compress, so many of text, and the others of zeros.
type Mix struct{ Noise, Text int }

// Bulk makes the database bulk.sqlite in the directory dir, which must be absent or empty, of about size bytes, in a fraction of the
// time that Big takes: it has few and large rows.
func Bulk(dir string, size int64, mix Mix) (err error) {
	if err := emptyDirectory(dir); err != nil {
		return err
	}
	path := filepath.Join(dir, "bulk.sqlite")
	db, err := openDatabase(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, statement := range []string{`PRAGMA journal_mode=OFF`, `CREATE TABLE bulk(id INTEGER PRIMARY KEY, body BLOB NOT NULL)`} {
		if _, err := db.Exec(statement); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	rnd := random(partBulk, uint64(size))
	words := []byte(newText(rnd).take(bulkText))
	body := make([]byte, bulkRow)
	for done := int64(0); done < size; {
		if err := commit(db, func(tx *sql.Tx) error {
			insert, err := tx.Prepare(`INSERT INTO bulk(body) VALUES(?)`)
			if err != nil {
				return err
			}
			for end := min(size, done+bulkSync); done < end; done += bulkRow {
				switch kind := rnd.IntN(100); {
				case kind < mix.Noise:
					fill(body, rnd)
				case kind < mix.Noise+mix.Text:
					copy(body, words[rnd.IntN(len(words)-len(body)):])
				default:
					clear(body)
				}
				if _, err := insert.Exec(body); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	_, err = db.Exec(`PRAGMA journal_mode=WAL`)
	return err
}

// fill fills b with what does not compress.
func fill(b []byte, rnd *rand.Rand) {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rnd.Uint32())
	}
	rand.NewChaCha8(seed).Read(b)
}

// Touch changes one row in so many of a database that Bulk made, at random places.
func Touch(path string, every int, seed uint64) (err error) {
	db, err := openDatabase(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDatabase(db)) }()
	var rows int
	if err := db.QueryRow(`SELECT max(id) FROM bulk`).Scan(&rows); err != nil {
		return fmt.Errorf("count the rows of %s: %w", path, err)
	}
	rnd := random(partBulk, seed)
	body := make([]byte, bulkRow)
	return commit(db, func(tx *sql.Tx) error {
		for _, id := range sample(rnd, 1, rows, max(1, rows/every)) {
			fill(body, rnd)
			if _, err := tx.Exec(`UPDATE bulk SET body=? WHERE id=?`, body, id); err != nil {
				return err
			}
		}
		return nil
	})
}
