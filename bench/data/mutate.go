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
func Mutate(path string, where Where) error {
	return Change{Where: where, Rows: 100, Append: 100}.Apply(path)
}

// A Change is what an application does to its database between two snapshots.
type Change struct {
	Where  Where
	Rows   int // one message and one embedding in so many gets another content; 0 for none
	Append int // and one is appended for so many that there are; 0 for none
	Seed   int // of changes one after the other they are 0, 1, 2, ..., so that none is like another, and shares of rows add up to whole ones
}

// share returns one in of n, or none if that is 0.
func (c Change) share(n, of int) int {
	if of == 0 {
		return 0
	}
	return n*(c.Seed+1)/of - n*c.Seed/of
}

// Apply changes a database that App or Big made.
func (c Change) Apply(path string) (err error) {
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
	if c.Where == Recent {
		part = partRecent
		oldest = func(newest int) int { return newest - newest/50 + 1 }
	}
	rnd := random(part, uint64(messages)+uint64(c.Seed)<<32)
	txt := newText(rnd)
	return commit(db, func(tx *sql.Tx) error {
		for _, id := range sample(rnd, oldest(messages), messages, c.share(messages, c.Rows)) {
			var size int
			if err := tx.QueryRow(`SELECT length(body) FROM messages WHERE id=?`, id).Scan(&size); err != nil {
				return err
			}
			if _, err := tx.Exec(`UPDATE messages SET body=? WHERE id=?`, txt.take(size), id); err != nil {
				return err
			}
		}
		for _, id := range sample(rnd, oldest(embeddings), embeddings, c.share(embeddings, c.Rows)) {
			if _, err := tx.Exec(`UPDATE embeddings SET vec=? WHERE id=?`, appendVector(nil, rnd), id); err != nil {
				return err
			}
		}
		return appendMessages(tx, rnd, txt, messages+1, messages+c.share(messages, c.Append))
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
