package sqlitedb

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Beside returns the paths of all that lies beside the database at path and that SQLite would take for a part of it: -wal, -shm, -journal
// and super-journals, whatever they hold, in order of their names. The database itself need not be there; nothing is opened.
func Beside(path string) (paths []string, err error) {
	dir, base := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return nil, fmt.Errorf("look for what lies beside %s: %w", path, err)
	}
	for _, e := range entries {
		if database, ok := SidecarOf(e.Name()); ok && database == base || isOldSuperJournal(e.Name(), base) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

// Unbothered returns an error if anything lies beside the database at path: see Beside. Such files belong to a database by their name alone, so that
// those of an old one, left beside a new one, put the old content back, or some of it, when the next program opens it
// (https://www.sqlite.org/howtocorrupt.html#_unlinking_or_renaming_a_database_file_while_in_use).
func Unbothered(path string) error {
	found, err := Beside(path)
	if err != nil || len(found) == 0 {
		return err
	}
	for i := range found {
		found[i] = filepath.Base(found[i])
	}
	return fmt.Errorf("beside %s lies %s, which would change it when it is opened; move that away before anything opens it", path, strings.Join(found, ", "))
}

// isOldSuperJournal reports whether this is how older versions of SQLite named a super-journal: by any eight digits.
func isOldSuperJournal(name, database string) bool {
	digits, ok := strings.CutPrefix(name, database+"-mj")
	return ok && len(digits) == 8 && strings.Trim(digits, "0123456789ABCDEF") == ""
}
