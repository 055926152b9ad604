package sqlitedb

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Unbothered returns an error if anything lies beside the database at path that SQLite would take for a part of it: -wal, -shm, -journal
// or a super-journal, whatever it holds. They belong to a database by their name alone, so that those of an old one, left
// beside a new one, put the old content back, or some of it, when the next program opens it
// (https://www.sqlite.org/howtocorrupt.html#_unlinking_or_renaming_a_database_file_while_in_use). The database itself
// need not be there; it is not opened.
func Unbothered(path string) error {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look for what lies beside %s: %w", path, err)
	}
	var found []string
	for _, e := range entries {
		if database, ok := SidecarOf(e.Name()); ok && database == base || isOldSuperJournal(e.Name(), base) {
			found = append(found, e.Name())
		}
	}
	if len(found) > 0 {
		return fmt.Errorf("beside %s lies %s, which would change it when it is opened; move that away before anything opens it", path, strings.Join(found, ", "))
	}
	return nil
}

// isOldSuperJournal reports whether this is how older versions of SQLite named a super-journal: by any eight digits.
func isOldSuperJournal(name, database string) bool {
	digits, ok := strings.CutPrefix(name, database+"-mj")
	return ok && len(digits) == 8 && strings.Trim(digits, "0123456789ABCDEF") == ""
}
