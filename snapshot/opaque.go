package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lifeboat/internal/sqlitedb"
	"lifeboat/manifest"
)

// A companion is the write-ahead log of a database that only its application can read, as one encrypted by SQLCipher or SEE: noise, beside
// which lies a -wal. Nobody can pin a transaction in it or check it. What can be done is to take the database while it is at rest together
// with the log as it is then: the log is copied to scratch space first, and the database read after that. If neither the database
// changed meanwhile nor the log was begun anew, there was no checkpoint between the two, and they are one state.
type companion struct {
	path string // of the log
	info fs.FileInfo
	copy *os.File
	size int64
	head []byte // of the log, which has another salt each time that it begins anew
	at   time.Time
}

// companionOf returns the log of a file that is not known to be a database; nil if there is none.
func (r *reader) companionOf(rel string) *companion {
	path := r.abs(rel) + "-wal"
	head, size, err := readHead(path)
	if err != nil {
		return nil
	}
	if size == 0 { // it may grow as soon as somebody writes
		if _, err := os.Lstat(r.abs(rel) + "-shm"); err != nil {
			return nil
		}
	} else if !sqlitedb.IsLog(head) {
		return nil
	}
	return &companion{path: path}
}

// readHead reads the beginning of a file, which tells one log from the next.
func readHead(path string) (head []byte, size int64, err error) {
	f, err := openNoFollow(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, 0, errors.Join(err, fs.ErrInvalid)
	}
	head = make([]byte, sqlitedb.LogHeaderSize)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	return head[:n], info.Size(), nil
}

// take copies the log. A copy from before is thrown away.
func (c *companion) take(scratch string) error {
	c.discard()
	head, _, err := readHead(c.path)
	if err != nil {
		return fmt.Errorf("read the log beside it: %w", err)
	}
	f, err := openNoFollow(c.path)
	if err != nil {
		return fmt.Errorf("read the log beside it: %w", err)
	}
	defer f.Close()
	if c.info, err = f.Stat(); err != nil {
		return fmt.Errorf("read the log beside it: %w", err)
	}
	if c.copy, err = os.CreateTemp(scratch, "log-*"); err != nil {
		return fmt.Errorf("write to a scratch file: %w", err)
	}
	if c.size, err = io.Copy(c.copy, io.LimitReader(f, c.info.Size())); err != nil {
		return fmt.Errorf("copy the log beside it: %w", err)
	}
	c.head, c.at = head, time.Now()
	return nil
}

// intact reports whether the log is still the one of which the beginning was taken.
func (c *companion) intact() bool {
	head, size, err := readHead(c.path)
	return err == nil && size >= c.size && bytes.HasPrefix(head, c.head)
}

func (c *companion) discard() {
	if c.copy != nil {
		c.copy.Close()
		os.Remove(c.copy.Name())
		c.copy = nil
	}
}

// keep holds the log back until the walk comes to its name.
func (r *reader) keep(rel string, c *companion) {
	if r.companions == nil {
		r.companions = map[string]*companion{}
	}
	r.companions[rel+"-wal"] = c
	r.problem(problemUnverified, rel, errors.New("there is a write-ahead log beside it, and SQLite cannot read it, so it is probably encrypted: "+
		"both were taken as files, and nobody can check them without the key"))
}

// beside reports how a file beside a database that only its application can read is to be treated: its log as it was copied; its -shm not
// at all, for it is worth nothing without the processes that share it.
func (r *reader) beside(rel string) (log *companion, skip bool) {
	if c := r.companions[rel]; c != nil {
		return c, false
	}
	name, ok := strings.CutSuffix(rel, "-shm")
	return nil, ok && r.companions[name+"-wal"] != nil
}

// log hands on the copy of a log.
func (r *reader) log(rel string, c *companion) error {
	defer c.discard()
	line := r.line(rel, c.info, manifest.Regular)
	line.Size = c.size
	if err := r.send(item{file: line}); err != nil {
		return err
	}
	if _, err := r.content(c.copy, c.size); err != nil {
		return r.failed(rel, err)
	}
	r.c.seen.at(c.at)
	return r.send(item{end: true})
}

// alone reports a database that only its application can read and that is a source by itself, without its log.
func (r *reader) alone(rel string) error {
	return fmt.Errorf("it is probably an encrypted database, and its log %s would be left out: back up the directory %s instead",
		filepath.Base(r.abs(rel))+"-wal", filepath.Dir(r.abs(rel)))
}
