package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Rehearse opens an image for reading and writing, as its application will, empties its log if it is in WAL mode, begins to write, and takes
// that back. why is what SQLite says when that does not work, because of what is in the file; else "". The content of the file is what it
// was, and nothing is left beside it. Sidecars, if there are any, belong to it: there should be none.
//
// The schema may have been made by somebody who means harm: the connection is defensive (https://www.sqlite.org/security.html), and how long it
// may take is for ctx to say.
func Rehearse(ctx context.Context, path string) (why string, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	c, err := open(ctx, abs, "mode=rw&_defensive=1"+Options{Wait: patience}.busy())
	if err != nil {
		return "", fmt.Errorf("open %s: %w", path, err)
	}
	err = c.rehearse(ctx)
	closed := c.Close()
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case isContent(err):
		return err.Error(), nil
	}
	if err = errors.Join(err, closed); err != nil {
		return "", fmt.Errorf("open %s as its application will: %w", path, err)
	}
	return "", nil
}

func (c *conn) rehearse(ctx context.Context) error {
	r, err := c.checkpoint(ctx)
	if err != nil {
		return err
	}
	if r != (checkpointed{0, 0, 0}) && r != (checkpointed{0, -1, -1}) {
		return fmt.Errorf("checkpoint: busy %d, %d of %d pages", r.busy, r.done, r.log)
	}
	return c.exec(ctx, "PRAGMA query_only=OFF", "BEGIN IMMEDIATE", "ROLLBACK")
}

// ErrNotOneValue means that a query returned no row, or several, or something else than numbers and texts.
var ErrNotOneValue = errors.New("the query does not return one value")

// QueryValue runs a query on an image, as Check reads one, and returns its one value: an int64, a float64, a string or, if it is a blob, a []byte. No
// row, NULL, and a second row are ErrNotOneValue; other errors say what SQLite says of the query or of the data.
func QueryValue(ctx context.Context, path, query string) (value any, err error) {
	err = withImage(ctx, path, func(p *Pinned, _ int64) error {
		if p.conn == nil {
			return fmt.Errorf("%w: the file is empty", ErrNotOneValue)
		}
		value, err = p.conn.value(ctx, query)
		return err
	})
	return value, err
}

// value runs a query. The plus sign changes no value; it keeps the driver from taking a text for a time because of the type that its column was
// declared with.
func (c *conn) value(ctx context.Context, query string) (value any, err error) {
	query = strings.TrimRight(query, "; \t\r\n")
	rows, err := c.QueryContext(ctx, "WITH q(v) AS (\n"+query+"\n) SELECT +v FROM q LIMIT 2")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		if n++; n > 1 {
			return nil, fmt.Errorf("%w: it returns several rows", ErrNotOneValue)
		}
		if err := rows.Scan(&value); err != nil {
			return nil, err
		}
	}
	switch err := rows.Err(); {
	case err != nil:
		return nil, err
	case n == 0:
		return nil, fmt.Errorf("%w: it returns no row", ErrNotOneValue)
	case value == nil:
		return nil, fmt.Errorf("%w: it returns NULL", ErrNotOneValue)
	}
	switch v := value.(type) {
	case time.Time:
		return nil, fmt.Errorf("%w, but a time; make it text with CAST(… AS TEXT)", ErrNotOneValue)
	case bool:
		if v {
			return int64(1), nil
		}
		return int64(0), nil
	}
	return value, nil
}
