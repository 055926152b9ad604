package sqlitedb

import "time"

// Looks are what stat told of a database and of its -wal. While neither changes, nothing is committed but what Published tells of: a commit writes to the one or, in
// WAL mode, to the other, and both writes go through the file system, which stamps them. (The -shm may change without a commit.)
type Looks struct {
	Main, WAL FileLook
	at        time.Time // before both
}

// A FileLook is that of one file; zero for a log that is not there or has nothing in it, which is the same.
type FileLook struct {
	Dev, Ino          uint64
	Size              int64
	Modified, Changed int64 // nanoseconds since 1970
}

// Before returns the looks from before the pin. What is equal to them later is the state of the pin, if they are proof; proof is false where
// that does not follow: the system has no time of change, one of the files was changed so shortly before that a later change could have the
// same time, or the database had to be recovered first. Nor is it proof of a log unless Published.
func (p *Pinned) Before() (looks Looks, proof bool) {
	return p.looks, (p.staged == "" || p.slices > 0 && !p.moved) && p.looks.Main.rests(p.looks.at) && (p.looks.WAL == FileLook{} || p.looks.WAL.rests(p.looks.at))
}

// Now returns what stat tells now.
func (p *Pinned) Now() (Looks, error) {
	if p.source == nil {
		return Looks{}, errClosed
	}
	return looksAt(p.source.path)
}

func looksAt(path string) (l Looks, err error) {
	l.at = time.Now()
	main, err := stampOf(path)
	if err != nil {
		return l, err
	}
	wal, err := stampOf(path + "-wal")
	if err != nil {
		return l, err
	}
	l.Main = lookOf(main)
	if wal.size > 0 {
		l.WAL = lookOf(wal)
	}
	return l, nil
}

func lookOf(s stamp) FileLook {
	return FileLook{Dev: s.dev, Ino: s.ino, Size: s.size, Modified: s.mtime, Changed: s.ctime}
}

// rests reports whether the last change lies so far before a time that a later one would have another time.
func (f FileLook) rests(at time.Time) bool {
	return f.Changed != 0 && time.Unix(0, f.Changed).Add(racy).Before(at) && time.Unix(0, f.Modified).Add(racy).Before(at)
}
