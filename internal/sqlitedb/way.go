package sqlitedb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// A way is how a database can be read without changing anything beside it.
type way int

const (
	// empty: zero bytes are a database without tables. SQLite is not asked, because it would delete a log or
	// a journal that lies beside an empty file.
	empty way = iota
	// live: a read-only connection, under SQLite's own locks.
	live
	// cold: in WAL mode, and nobody has it open. An immutable connection takes no locks and makes no files; a
	// guard proves that none were needed.
	cold
	// staged: what lies beside the database must be played into it first, which happens to a copy.
	staged
)

// A source is a database file before SQLite has it open.
type source struct {
	path   string   // absolute, without symbolic links: SQLite keeps the sidecars there
	file   *os.File // stays open until SQLite has closed its own; see the package documentation
	before stamp
	header [headerSize]byte
	found  Found // by choose
}

// headerSize is the length of the header: https://www.sqlite.org/fileformat2.html#the_database_header.
const headerSize = 100

// openSource opens the file and reads its header. The caller closes file.
func openSource(path string) (*source, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := &source{path: path, file: f}
	if err := s.readHeader(); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

func (s *source) readHeader() error {
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	s.before = stampOfInfo(info)
	if _, err := s.file.ReadAt(s.header[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the header: %w", err)
	}
	return nil
}

// choose decides how to read the database, from its header and what lies beside it, and notes what it found.
//
// SQLite replays a -wal that exists whatever the header says; and without a -shm it would have to make one.
func (s *source) choose() (way, error) {
	if s.before.size == 0 {
		s.found = FoundEmpty
		return empty, nil
	}
	if !IsDatabase(s.header[:]) {
		// The first page is written last by the transaction that makes the database. If that one crashed, there is
		// a journal to play back.
		if hot, err := hasJournal(s.path); err != nil || hot && s.header == [headerSize]byte{} {
			s.found = FoundHotJournal
			return staged, err
		}
		return 0, ErrNotDatabase
	}
	wal, err := stampOf(s.path + "-wal")
	if err != nil {
		return 0, err
	}
	shm, err := stampOf(s.path + "-shm")
	if err != nil {
		return 0, err
	}
	switch {
	case wal.exists && shm.exists:
		s.found = FoundCrashedWAL
		if inUse(s.file) {
			s.found = FoundLiveWAL
		}
		return live, nil
	case wal.size > 0:
		s.found = FoundCrashedWAL
		return staged, nil
	case wal.exists || s.header[19] == walVersion:
		hot, err := hasJournal(s.path)
		if hot {
			s.found = FoundHotJournal
			return staged, err
		}
		s.found = FoundColdWAL
		if s.header[19] != walVersion {
			s.found = FoundRollback
		}
		return cold, err
	default:
		s.found = FoundRollback
		return live, nil
	}
}

// walVersion in bytes 18 and 19 of the header says that the database is in WAL mode.
const walVersion = 2

// journalMagic begins a rollback journal that may have to be played back:
// https://www.sqlite.org/fileformat2.html#the_rollback_journal.
var journalMagic = []byte{0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7}

// hasJournal reports whether a rollback journal that is not spent lies beside the database. It is hot if,
// besides, nobody is writing the transaction that it belongs to.
func hasJournal(path string) (bool, error) {
	f, err := os.Open(path + "-journal")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, len(journalMagic))
	if _, err := io.ReadFull(f, head); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return false, nil
		}
		return false, err
	}
	return bytes.Equal(head, journalMagic), nil
}
