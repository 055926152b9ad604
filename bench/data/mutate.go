package data

import (
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
)

// Where says which rows Mutate changes.
type Where int

const (
	Scatter Where = iota // 1 % of all rows, at random places
	Recent               // as many, but among the newest 2 %
)

// Mutate changes 1 % of the messages and embeddings of a database that App or Big made, and appends 1 %.
// What it changes depends on the database alone, so that repeating it gives another day's change.
func Mutate(path string, where Where) (err error) {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	db, err := openDatabase(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDatabase(db)) }()
	var messages, embeddings int
	if err := db.QueryRow(`SELECT (SELECT max(id) FROM messages), (SELECT max(id) FROM embeddings)`).Scan(&messages, &embeddings); err != nil {
		return fmt.Errorf("count the rows of %s: %w", path, err)
	}
	part := uint64(partScatter)
	oldest := func(newest int) int { return 1 }
	if where == Recent {
		part = partRecent
		oldest = func(newest int) int { return newest - newest/50 + 1 }
	}
	rnd := random(part, uint64(messages))
	txt := newText(rnd)
	return commit(db, func(tx *sql.Tx) error {
		for _, id := range sample(rnd, oldest(messages), messages, messages/100) {
			var size int
			if err := tx.QueryRow(`SELECT length(body) FROM messages WHERE id=?`, id).Scan(&size); err != nil {
				return err
			}
			if _, err := tx.Exec(`UPDATE messages SET body=? WHERE id=?`, txt.take(size), id); err != nil {
				return err
			}
		}
		for _, id := range sample(rnd, oldest(embeddings), embeddings, embeddings/100) {
			if _, err := tx.Exec(`UPDATE embeddings SET vec=? WHERE id=?`, appendVector(nil, rnd), id); err != nil {
				return err
			}
		}
		return appendMessages(tx, rnd, txt, messages+1, messages+messages/100)
	})
}

// sample returns n different numbers from first to last, ascending.
func sample(rnd *rand.Rand, first, last, n int) []int {
	var out []int
	for i := first; i <= last && len(out) < n; i++ {
		if rnd.IntN(last-i+1) < n-len(out) {
			out = append(out, i)
		}
	}
	return out
}
