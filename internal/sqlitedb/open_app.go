package sqlitedb

import (
	"database/sql"
	"fmt"
	"path/filepath"
)

// OpenApp opens the database at path for reading and writing as an ordinary application does, waiting
// up to 5 s for locks, and creates it when it is not there. It is for the sample application and for
// tests, never for what somebody else's program owns: this connection does what Pin takes care not to
// do. The caller closes it.
func OpenApp(path string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	db := sql.OpenDB(connector(fileURI(abs) + "?_busy_timeout=5000"))
	if err := db.Ping(); err != nil {
		db.Close()
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	return db, nil
}
