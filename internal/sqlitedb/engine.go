package sqlitedb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"

	"modernc.org/sqlite"
)

// engine gives the one driver of the process. Whether SQLite takes open file description locks must be
// settled before it takes its first lock, and what a driver registers is never freed; so both are done
// once, when the first connection is wanted, and every connection of this package comes through here.
var engine = sync.OnceValues(newDriver)

func newDriver() (*sqlite.Driver, error) {
	if _, err := sqlite.OFDLocking(true); err != nil && !errors.Is(err, sqlite.ErrOFDLockingUnavailable) {
		return nil, fmt.Errorf("another package used SQLite before its locks were made safe: %w", err)
	}
	if err := keepOwners(); err != nil {
		return nil, err
	}
	d := new(sqlite.Driver)
	return d, registerSink(d)
}

// A connector opens connections to one database.
type connector string

// Connect opens a connection.
func (c connector) Connect(context.Context) (driver.Conn, error) {
	d, err := engine()
	if err != nil {
		return nil, err
	}
	return d.Open(string(c))
}

// Driver exists for the interface.
func (c connector) Driver() driver.Driver { return nil }

// A conn is one connection to one database.
type conn struct {
	*sql.Conn
	db *sql.DB
}

// open connects to the database at an absolute path. uri is what follows in the URI, such as "mode=ro".
//
// cell_size_check finds a bad page when it is read, trusted_schema=0 keeps the schema from calling what
// has side effects (https://www.sqlite.org/security.html), and extensions can't be loaded unless a program asks
// for that. Memory-mapped reads stay off: a file that is cut short under them would be a SIGBUS. The page cache
// stays at its 2 MB: with 4 to 32 times as much, every check took more time, not less (BenchmarkQuickCheck).
func open(ctx context.Context, path, uri string) (*conn, error) {
	db := sql.OpenDB(connector(fileURI(path) + "?" + uri +
		"&_query_only=1&_error_rc=1&_pragma=trusted_schema(0)&_pragma=cell_size_check(1)&_pragma=mmap_size(0)"))
	c, err := db.Conn(ctx)
	if err != nil {
		db.Close()
		return nil, err
	}
	return &conn{c, db}, nil
}

// Close ends the transaction, if there is one, and closes the connection.
func (c *conn) Close() error {
	return errors.Join(c.Conn.Close(), c.db.Close())
}

// exec runs statements that return nothing.
func (c *conn) exec(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := c.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// fileURI returns the URI by which SQLite opens the file at this absolute path, whatever bytes its name has.
// See https://www.sqlite.org/uri.html.
func fileURI(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") { // C:/…
		path = "/" + path
	}
	return "file://" + strings.ReplaceAll(url.PathEscape(path), "%2F", "/")
}
