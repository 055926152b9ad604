package sqlitedb

import (
	"io"
	"strings"
)

// magic begins every SQLite database; see https://www.sqlite.org/fileformat2.html#magic_header_string.
const magic = "SQLite format 3\x00"

// IsDatabase reports whether a file that begins with these bytes is a SQLite database. 16 bytes decide. An
// empty file may be a database too, and an encrypted one can't be told from noise: neither is one here.
func IsDatabase(header []byte) bool {
	return len(header) >= len(magic) && string(header[:len(magic)]) == magic
}

// BeginsDatabase reports whether a file begins as a SQLite database does; see IsDatabase. What cannot be read does not.
func BeginsDatabase(f io.ReaderAt) bool {
	var header [len(magic)]byte
	n, _ := f.ReadAt(header[:], 0)
	return IsDatabase(header[:n])
}

// LogHeaderSize is the length of the header of a write-ahead log, in bytes: https://www.sqlite.org/fileformat2.html#walformat.
const LogHeaderSize = 32

// IsLog reports whether a file that begins with these bytes is a write-ahead log. Its header is never encrypted.
func IsLog(header []byte) bool {
	return len(header) >= 4 && string(header[:3]) == "\x37\x7f\x06" && header[3]&^1 == 0x82
}

// sidecars are the suffixes of the files that SQLite keeps beside a database.
var sidecars = [...]string{"-wal", "-shm", "-journal"}

// Sidecars returns the names of the files that SQLite may keep beside the database at path: -wal,
// -shm and -journal. The content of the first and the last is part of the database and is captured with it;
// that of the second is worth nothing without the processes that share it.
func Sidecars(path string) []string {
	names := make([]string, len(sidecars))
	for i, suffix := range sidecars {
		names[i] = path + suffix
	}
	return names
}

// SidecarOf returns the name of the database that a file of this name would be a sidecar or a super-journal
// of: "app.db" for "app.db-wal" and for "app.db-mjA1B2C39D4". Whether it is one depends on whether a
// database of that name lies in the same directory, which the caller knows; if so, the file is not to be
// captured as a file, nor to be opened.
func SidecarOf(name string) (database string, ok bool) {
	for _, suffix := range sidecars {
		if database, ok = strings.CutSuffix(name, suffix); ok {
			return database, database != ""
		}
	}
	// A super-journal is named for the database by "-mj", six digits, a 9 and two digits, all hexadecimal:
	// vdbeCommit in SQLite's vdbeaux.c.
	const length = len("-mjFFFFFF9FF")
	at := len(name) - length
	if at < 1 || name[at:at+3] != "-mj" || name[len(name)-3] != '9' || strings.Trim(name[at+3:], "0123456789ABCDEF") != "" {
		return "", false
	}
	return name[:at], true
}
