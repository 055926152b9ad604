package sqlitedb

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
)

const (
	frameHeader = 24      // https://www.sqlite.org/fileformat2.html#walformat
	mostFrames  = 1 << 16 // of one transaction that are compared
)

// Published reports whether the log has nothing in it that the pin does not show. The frames of a commit are written first, then synced, and published
// in the -shm last; who is killed in between leaves a commit that the next one to open the database finds in the log. Until then, neither the database nor
// the log may change any more. So it is only if Published, too, that what Before returns is proof. It must not be called while the pages are streamed.
//
// There is one writer at a time, so what is not published is what comes after the last commit in the log but one. If the pages there are
// those of the pin, it makes no difference whether it is.
func (p *Pinned) Published(ctx context.Context) (bool, error) {
	if p.source == nil {
		return false, errClosed
	}
	if !p.Live() || p.JournalMode() != "wal" {
		return true, nil // it has no log, or what was in it was played into a copy
	}
	f, err := os.Open(p.source.path + "-wal") // on which there are no locks
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	last, size, err := lastFrames(f, p.header.pageSize)
	if err != nil || len(last) > mostFrames || size > 0 && size != p.pages {
		return false, err
	}
	logged, pinned := make([]byte, p.header.pageSize), []byte(nil)
	for page, off := range last {
		if page > p.pages {
			return false, nil
		}
		if _, err := f.ReadAt(logged, off); err != nil {
			return false, err
		}
		if err := p.conn.QueryRowContext(ctx, "SELECT data FROM sqlite_dbpage('main') WHERE pgno=?", page).Scan(&pinned); err != nil {
			return false, err
		}
		if !bytes.Equal(logged, pinned) {
			return false, nil
		}
	}
	return true, nil
}

// errOtherLog says that a log is none, or one of pages of another size.
var errOtherLog = errors.New("the log is not one of this database")

// lastFrames returns where the pages lie in a log that come after the last commit but one, and how many pages the database has after the last
// commit; 0 if there is none.
func lastFrames(f io.ReaderAt, pageSize int) (last map[uint32]int64, size uint32, err error) {
	var head [LogHeaderSize]byte
	if n, err := f.ReadAt(head[:], 0); n == 0 && errors.Is(err, io.EOF) {
		return nil, 0, nil
	} else if n < len(head) || !IsLog(head[:]) {
		return nil, 0, errOtherLog
	}
	if in := binary.BigEndian.Uint32(head[8:]); int64(in) != int64(pageSize) {
		return nil, 0, errOtherLog
	}
	last = map[uint32]int64{}
	committed := false
	for off := int64(LogHeaderSize); ; off += frameHeader + int64(pageSize) {
		var frame [frameHeader]byte
		if _, err := f.ReadAt(frame[:], off); errors.Is(err, io.EOF) || err == nil && !bytes.Equal(frame[8:16], head[16:24]) {
			return last, size, nil // what follows is of an earlier round
		} else if err != nil {
			return nil, 0, err
		}
		if committed {
			clear(last)
			committed = false
		}
		if len(last) <= mostFrames {
			last[binary.BigEndian.Uint32(frame[:])] = off + frameHeader
		}
		if n := binary.BigEndian.Uint32(frame[4:]); n > 0 {
			size, committed = n, true
		}
	}
}
