package sqlitedb_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"lifeboat/internal/sqlitedb"
)

// A state is one that a database may be in when it is captured, and what becomes of that.
type state struct {
	name  string
	make  maker
	file  string         // where the database is, below a directory; app.db if ""
	found sqlitedb.Found // "" if Pin refuses it
	read  sqlitedb.Read
	fails string // why Pin refuses it: locked, notDatabase, or a part of the error

	rows    string             // how many table t has that are not spoilt, or none
	quick   sqlitedb.Integrity // OK if ""
	full    sqlitedb.Integrity // as quick if ""
	detail  string             // a part of it
	tables  []sqlitedb.Table   // not looked at if nil
	foreign int64              // violations

	shm    string                            // what of a -shm changes in the hands of one who may write to it: nothing, marks or anew
	pinned func(a *app)                      // what the application does during the capture
	knows  func(t *testing.T, copied string) // adds what only the application knows to a copy of its database
	huge   bool                              // no image is written: its pages are summed up, and only QuickCheck looks at them
}

// A maker leaves a database at a path in some state, and returns the application that has it open, if one has.
type maker func(t *testing.T, path string) *app

const (
	none        = "none"
	locked      = "locked"
	notDatabase = "not a database"
	marks       = "its -shm's read marks"
	anew        = "its -shm, made anew"
	// A database in a rollback mode is read in this way.
	rollbackRead = sqlitedb.ReadLocked
)

// Every state that a database may be in, and every user who may come upon it. What is captured is, byte for byte, what the next
// application would find; what is said of it is true; and the source is as it was: its bytes, times, inodes, modes and owners, those of all that
// lies beside it, and the names in its directory. Nothing is left in scratch. The only things that ever change are in a -shm, which is nothing but
// memory that processes share: each reader sets its read mark there, and the first one after a crash fills it anew from the log.
//
// Which user reads matters only to where a database is and what lies beside it; what it holds is read by one.
func TestEveryState(t *testing.T) {
	var seen evidence
	all := readers(t)
	for _, s := range slices.Concat(situations, exclusives, superJournals) {
		for _, r := range all {
			t.Run(s.name+", "+r.name, func(t *testing.T) { everyState(t, s, r, &seen) })
		}
	}
	for _, s := range slices.Concat(otherOwners(), noDatabases(), damages(), foreignKeys, shapes(), strangePaths(), []state{lockBytePage}) {
		t.Run(s.name, func(t *testing.T) { everyState(t, s, owner(), &seen) })
	}
	t.Log(seen.String())
}

// everyState makes a state, has it captured, and notes what was seen.
func everyState(t *testing.T, s state, r reader, seen *evidence) {
	line := sight{situation: s.name, reader: r.name, found: "-", read: "-", integrity: "-", image: "-", source: "-", scratch: "-"}
	defer func() {
		if t.Failed() {
			line.failed = "FAILED"
		}
		*seen = append(*seen, line)
	}()
	dir := open(t, t.TempDir())
	path := filepath.Join(dir, "app.db")
	if s.file != "" {
		path = filepath.Join(dir, s.file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	a := s.make(t, path)
	var want string
	if s.fails == "" {
		want = recovered(t, path, s.knows)
	}
	age(t, filepath.Dir(path))
	r.prepare(t, dir)
	before := photograph(t, dir)

	scratch := r.dir(t)
	out := filepath.Join(scratch, "image.db")
	if s.huge {
		out = ""
	}
	got := r.capture(t, task{Path: path, Out: out, Scratch: scratch, Impatient: s.fails == locked}, func() {
		if s.pinned != nil {
			s.pinned(a)
		}
	})

	changed, diff := difference(before, photograph(t, dir))
	allowed := s.shm
	if !r.writes {
		allowed = ""
	}
	if diff != "" || changed != "" && changed != allowed && allowed != anew {
		t.Errorf("the source changed: %s %s", changed, diff)
	}
	line.source = "yes"
	switch {
	case diff != "":
		line.source = "NO"
	case changed != "":
		line.source = "yes but " + changed
	}
	line.scratch = "nothing"
	if all := list(t, scratch); len(all) > 1 || len(all) == 1 && all[0] != out {
		t.Errorf("left in scratch: %q", all)
		line.scratch = "SOMETHING"
	}

	if s.fails != "" {
		line.integrity = "refused: " + s.fails
		got.refused(t, s.fails, a)
		return
	}
	if got.Err != "" {
		line.integrity = "REFUSED"
		t.Error(got.Err)
		return
	}
	line.found, line.read, line.integrity = string(got.Found), string(got.Read), string(got.Quick)
	if got.Found != s.found && !(runtime.GOOS != "linux" && s.found == sqlitedb.FoundCrashedWAL && got.Found == sqlitedb.FoundLiveWAL) {
		t.Errorf("found %s, not %s", got.Found, s.found)
	}
	if got.Read != s.read {
		t.Errorf("read by %s, not %s", got.Read, s.read)
	}
	quick := orOK(s.quick)
	if got.Quick != quick || !strings.Contains(got.Detail, s.detail) || (got.Detail == "") != (quick == sqlitedb.OK) {
		t.Errorf("%s, not %s: %q", got.Quick, quick, got.Detail)
	}
	if s.tables != nil {
		equal(t, got.Facts.Tables, s.tables)
	}
	if got.Facts.ForeignKeys != s.foreign {
		t.Errorf("%d violations of foreign keys, not %d", got.Facts.ForeignKeys, s.foreign)
	}
	line.image = "as the application's"
	if got.Sum != fileSum(t, want) {
		t.Error("the image is not what the application would find")
		line.image = "ANOTHER"
	}
	switch {
	case got.Facts.Pages == 0:
		equal(t, got.Facts.JournalMode, "delete")
		equal(t, got.Facts.PageSize, 0)
	case quick == sqlitedb.OK:
		got.agree(t, want)
	}
	if !s.huge {
		got.judged(t, out, s)
	}
}

func orOK(i sqlitedb.Integrity) sqlitedb.Integrity {
	if i == "" {
		return sqlitedb.OK
	}
	return i
}

// recovered returns a database such as the next application would find: a copy into which SQLite has played what lay beside the original, or
// that itself when there was nothing. A -shm is left out, for it holds nothing.
func recovered(t *testing.T, path string, knows func(*testing.T, string)) string {
	t.Helper()
	var beside []string
	for _, suffix := range []string{"-wal", "-journal"} {
		if info, err := os.Stat(path + suffix); err == nil && info.Size() > 0 {
			beside = append(beside, suffix)
		}
	}
	if beside == nil {
		return path
	}
	copied := filepath.Join(t.TempDir(), "app.db")
	for _, suffix := range append(beside, "") {
		data, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		write(t, copied+suffix, string(data))
	}
	if knows != nil {
		knows(t, copied)
	}
	visit(t, copied, "PRAGMA wal_checkpoint(TRUNCATE)")
	return copied
}

// refused compares an error with what was due.
func (c captured) refused(t *testing.T, why string, by *app) {
	t.Helper()
	switch {
	case why == locked:
		if c.Locked == nil {
			t.Fatalf("not locked: %s", c.Err)
		}
		if runtime.GOOS != "linux" {
			return // it can't tell
		}
		if c.Locked.PID != by.cmd.Process.Pid {
			t.Errorf("locked by process %d, not %d", c.Locked.PID, by.cmd.Process.Pid)
		}
		if name := filepath.Base(by.cmd.Path); c.Locked.Program == "" || !strings.HasPrefix(name, c.Locked.Program) {
			t.Errorf("locked by program %q, not %q", c.Locked.Program, name)
		}
	case why == notDatabase:
		if !c.NotDatabase {
			t.Errorf("taken for a database: %s", c.Err)
		}
	case !strings.Contains(c.Err, why):
		t.Errorf("%q", c.Err)
	}
}

// agree compares the facts with what SQLite says of the same database.
func (c captured) agree(t *testing.T, path string) {
	t.Helper()
	f := c.Facts
	want := inspect(t, path, `SELECT page_size, page_count, user_version, application_id
		FROM pragma_page_size, pragma_page_count, pragma_user_version, pragma_application_id`)
	if got := fmt.Sprintf("%d|%d|%d|%d", f.PageSize, f.Pages, f.UserVersion, f.ApplicationID); got != want {
		t.Errorf("facts: %s, not %s", got, want)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	header := make([]byte, 20)
	if _, err := file.ReadAt(header, 0); err != nil {
		t.Fatal(err)
	}
	if want := map[byte]string{1: "delete", 2: "wal"}[header[19]]; f.JournalMode != want {
		t.Errorf("mode %q, not %q", f.JournalMode, want)
	}
}

// judged looks at an image: it is judged as the database was, and holds its rows.
func (c captured) judged(t *testing.T, out string, s state) {
	t.Helper()
	for _, depth := range []sqlitedb.Depth{sqlitedb.Quick, sqlitedb.Full} {
		want := orOK(s.quick)
		if depth == sqlitedb.Full && s.full != "" {
			want = s.full
		}
		result, detail, err := sqlitedb.Check(t.Context(), out, depth)
		if err != nil || result != want || depth == sqlitedb.Quick && detail != c.Detail {
			t.Errorf("image, %s: %s, not %s, %v: %q, not %q", depth, result, want, err, detail, c.Detail)
		}
	}
	facts, err := sqlitedb.ImageFacts(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, facts, c.Facts)
	if s.rows != none && s.rows != "" {
		if n := inspect(t, out, "SELECT count(*) FROM t WHERE v<>'spoilt'"); n != s.rows {
			t.Errorf("captured %s rows, not %s", n, s.rows)
		}
	}
}

// A task is what a capturing process is told.
type task struct {
	Path, Out, Scratch string // Out may be ""
	Impatient          bool   // about locks
}

// captured is what such a process found.
type captured struct {
	Found       sqlitedb.Found
	Read        sqlitedb.Read
	Quick       sqlitedb.Integrity
	Detail      string
	Facts       sqlitedb.Facts
	Sum         [sha256.Size]byte // by a summer
	Err         string            // and nothing else but:
	Locked      *sqlitedb.LockedError
	NotDatabase bool
}

// A reader is the user who captures.
type reader struct {
	name    string
	writes  bool // may write to the files
	prepare func(t *testing.T, dir string)
	dir     func(t *testing.T) string // a new directory that it may write to
	capture func(t *testing.T, do task, pinned func()) captured
}

func owner() reader {
	return reader{"owner", true, func(*testing.T, string) {}, func(t *testing.T) string { return t.TempDir() },
		func(t *testing.T, do task, pinned func()) captured { return do.run(t.Context(), pinned) }}
}

// run pins, streams, checks while it does if it can, and unpins.
func (do task) run(ctx context.Context, pinned func()) (c captured) {
	opt := sqlitedb.Options{Scratch: do.Scratch, Beside: 1}
	if do.Impatient {
		opt.Wait = time.Millisecond
	}
	p, err := sqlitedb.Pin(ctx, do.Path, opt)
	if err != nil {
		c.fail(err)
		return c
	}
	defer p.Close()
	c.Found, c.Read = p.Found(), p.Read()
	pinned()
	var sum summer
	to := io.Writer(&sum)
	if do.Out != "" {
		f, err := os.Create(do.Out)
		if err != nil {
			c.fail(err)
			return c
		}
		defer f.Close()
		to = io.MultiWriter(&sum, f)
	}
	c.Quick, c.Detail, c.Facts, err = readAndCheck(ctx, p, to)
	if err == nil && p.Size() != int64(c.Facts.Pages)*int64(c.Facts.PageSize) {
		err = fmt.Errorf("%d bytes are %d pages of %d", p.Size(), c.Facts.Pages, c.Facts.PageSize)
	}
	if err == nil {
		err = p.Close()
	}
	c.fail(err)
	c.Sum = sum.done()
	return c
}

// fail notes why a database was not captured; nil for that it was.
func (c *captured) fail(err error) {
	if err == nil {
		return
	}
	c.Err = err.Error()
	errors.As(err, &c.Locked)
	c.NotDatabase = errors.Is(err, sqlitedb.ErrNotDatabase)
}

// photograph describes everything in a directory, and the directory: content, times, inode, owner and mode. What a -shm holds has an entry of its own,
// and so have the read marks in it, with its times.
func photograph(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(file string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		inode, changed := identity(t, file)
		times := fmt.Sprint(" ", info.ModTime().UnixNano(), " ", changed)
		text := info.Mode().String() + " " + inode
		switch {
		case !info.Mode().IsRegular():
			text += times
		case !strings.HasSuffix(file, "-shm"):
			text += fmt.Sprintf(" %d %x", info.Size(), fileSum(t, file)) + times
		default:
			text += fmt.Sprint(" ", info.Size())
			held, read := shared(t, file)
			all[file+shmContent], all[file+shmMarks] = held, read+times
		}
		all[file] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What photograph adds to the name of a -shm.
const (
	shmContent = " content"
	shmMarks   = " read marks"
)

// shared returns what a -shm holds, and the read marks in it: https://www.sqlite.org/walformat.html#the_wal_index_header.
func shared(t *testing.T, path string) (content, read string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		if runtime.GOOS == "windows" {
			return "", "" // NOT CHECKED: its locks keep others from reading it
		}
		t.Fatal(err)
	}
	const from, to = 100, 120
	if len(data) >= to {
		read = fmt.Sprintf("%x", data[from:to])
		data = slices.Concat(data[:from], make([]byte, to-from), data[to:])
	}
	return fmt.Sprintf("%x", sha256.Sum256(data)), read
}

// difference tells what is not the same in two photographs: of the changes that a -shm may undergo, the one that it was; in diff, any other.
func difference(before, after map[string]string) (changed, diff string) {
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range before {
			yield(name)
		}
		for name := range after {
			if _, there := before[name]; !there {
				yield(name)
			}
		}
	}) {
		was, is := before[name], after[name]
		switch {
		case was == is:
		case was != "" && is != "" && strings.HasSuffix(name, shmContent):
			changed = anew
		case was != "" && is != "" && strings.HasSuffix(name, shmMarks):
			if changed == "" {
				changed = marks
			}
		default:
			diff += fmt.Sprintf("\n%s was %q, is %q", name, was, is)
		}
	}
	return changed, diff
}

func fileSum(t *testing.T, path string) (sum [sha256.Size]byte) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var s summer
	if _, err := io.CopyBuffer(struct{ io.Writer }{&s}, struct{ io.Reader }{f}, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	return s.done()
}

// A summer is SHA-256 over where something is written, what it is, and how much it is in all: zeros, of which a sparse file has many, cost it little.
type summer struct {
	blocks []byte
	block  []byte // what of the next one has come
	size   int64
}

func (s *summer) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), len(zeros)-len(s.block))
		s.block = append(s.block, rest[:n]...)
		rest = rest[n:]
		s.size += int64(n)
		if len(s.block) == len(zeros) {
			s.flush()
		}
	}
	return len(p), nil
}

func (s *summer) flush() {
	if !bytes.Equal(s.block, zeros[:len(s.block)]) {
		sum := sha256.Sum256(s.block)
		s.blocks = append(binary.BigEndian.AppendUint64(s.blocks, uint64(s.size)), sum[:]...)
	}
	s.block = s.block[:0]
}

func (s *summer) done() [sha256.Size]byte {
	s.flush()
	return sha256.Sum256(binary.BigEndian.AppendUint64(s.blocks, uint64(s.size)))
}

var zeros [1 << 16]byte

// A sight is what was seen of one state.
type sight struct{ situation, reader, found, read, integrity, image, source, scratch, failed string }

// Evidence is a table of it all.
type evidence []sight

func (e evidence) String() string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, l := range append(evidence{{"\nSITUATION", "READER", "FOUND", "READ", "INTEGRITY", "IMAGE", "SOURCE UNCHANGED", "LEFT IN SCRATCH", ""}}, e...) {
		fmt.Fprintln(w, strings.Join([]string{l.situation, l.reader, l.found, l.read, l.integrity, l.image, l.source, l.scratch, l.failed}, "\t"))
	}
	w.Flush()
	return b.String()
}
