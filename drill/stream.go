package drill

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"golang.org/x/sync/errgroup"

	"lifeboat/archive"
	"lifeboat/internal/layout"
	"lifeboat/manifest"
	"lifeboat/remote"
)

const (
	defaultConcurrency = 4
	batchFiles         = 1 << 10 // small files that are read by one request
	batchBytes         = 32 << 20
	databaseHeader     = 100 // bytes
)

// A streamer reads a snapshot and lays nothing down. Small files that lie one after the other in an archive are read together.
type streamer struct {
	*drill
	group  *errgroup.Group
	ctx    context.Context
	batch  []*manifest.File // each of one extent, in one archive, ascending
	bytes  int64
	wanted map[string]bool // paths that assertions look at
	seen   *streamed

	mu sync.Mutex // of the record, and of seen
}

// stream reads and hashes every file.
func (d *drill) stream() error {
	group, ctx := errgroup.WithContext(d.ctx)
	group.SetLimit(max(d.opts.Concurrency, 1))
	if d.opts.Concurrency == 0 {
		group.SetLimit(defaultConcurrency)
	}
	s := &streamer{drill: d, group: group, ctx: ctx, wanted: map[string]bool{}, seen: &streamed{map[string]entry{}, map[string][]byte{}}}
	parsed := map[string]bool{}
	for _, a := range d.opts.Assert {
		s.wanted[a.In], s.wanted[a.File] = true, true
		parsed[a.In] = parsed[a.In] || a.Kind() == "json"
	}
	for _, err := range d.snap.Archives(ctx) { // which is looked into piece by piece later, and is to be whole
		if err != nil {
			return err
		}
	}
	d.opts.Meter.Begin("drill", d.snap.Head.Files.Bytes)
	d.phase("open", d.sinceLap(), 0)
	err := s.files(parsed)
	if waitErr := group.Wait(); waitErr != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = waitErr
	}
	if err != nil {
		return err
	}
	d.phase("stream", d.sinceLap(), d.from.bytes.Load())
	return d.assert(s.seen)
}

func (s *streamer) files(parsed map[string]bool) error {
	for f, err := range s.snap.Files(s.ctx) {
		if err != nil {
			return err
		}
		if s.wanted[f.Path] {
			s.seen.entries[f.Path] = entryOf(f)
		}
		if f.Type != manifest.Regular {
			continue
		}
		s.r.Files++
		s.r.Bytes += f.Size
		if f.SQLite != nil {
			s.skipLocked("database", f.Path, "its integrity, schema, rows and foreign keys: that needs it on a disk")
		}
		small := len(f.Extents) == 1 && !f.Extents[0].IsZeros() && !parsed[f.Path]
		if !small || len(s.batch) > 0 && !follows(s.batch[len(s.batch)-1], f) || len(s.batch) == batchFiles || s.bytes > batchBytes {
			s.flush()
		}
		if small {
			s.batch, s.bytes = append(s.batch, f), s.bytes+f.Size
			continue
		}
		s.group.Go(func() error { return s.large(f, parsed[f.Path]) })
	}
	s.flush()
	return nil
}

func (s *streamer) skipLocked(kind, where, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skip(kind, where, why)
}

// entryOf describes a line of the files table.
func entryOf(f *manifest.File) entry {
	what := map[manifest.FileType]string{manifest.Directory: "a directory", manifest.Symlink: "a symbolic link", manifest.Hardlink: "another name of " + f.Link}[f.Type]
	return entry{f.Type == manifest.Regular, what, f.Size, func() (manifest.Hash, error) { return f.SHA256, nil }}
}

// follows reports whether two small files can be read by one request.
func follows(a, b *manifest.File) bool {
	x, y := a.Extents[0], b.Extents[0]
	return x.Archive == y.Archive && y.Off >= x.Off+x.Len
}

// flush reads the batch, in the background.
func (s *streamer) flush() {
	batch := s.batch
	s.batch, s.bytes = nil, 0
	if len(batch) > 0 {
		s.group.Go(func() error { return s.small(batch) })
	}
}

// small reads files of one extent each. Where they cannot be read together, each is read alone, so that it shows which.
func (s *streamer) small(batch []*manifest.File) error {
	ranges := make([]archive.Range, len(batch))
	for i, f := range batch {
		ranges[i] = archive.Range{Off: f.Extents[0].Off, Len: f.Extents[0].Len}
	}
	done := 0
	err := s.snap.Read(s.ctx, batch[0].Extents[0].Archive, ranges, func(i int, data []byte) error {
		done = i + 1
		return s.hashed(batch[i], manifest.HashOf(data), data)
	})
	if err == nil || s.ctx.Err() != nil || errors.Is(err, remote.ErrUnavailable) {
		return err
	}
	for _, f := range batch[done:] {
		if err := s.large(f, false); err != nil {
			return err
		}
	}
	return nil
}

// hashed compares the digest of a file, of whose content begin is at least the beginning.
func (s *streamer) hashed(f *manifest.File, sum manifest.Hash, begin []byte) error {
	s.opts.Meter.Add(f.Size)
	s.opts.Meter.File()
	s.mu.Lock()
	defer s.mu.Unlock()
	if sum != f.SHA256 {
		s.fail("damaged", f.Path, "%v", &layout.DigestError{Path: f.Path, Want: f.SHA256, Got: sum})
		return nil
	}
	s.r.Checks.Files++
	if f.SQLite != nil {
		s.header(f, begin)
	}
	return nil
}

// large reads one file, and keeps its content if it is to be parsed.
func (s *streamer) large(f *manifest.File, keep bool) error {
	w := &beginning{limit: databaseHeader}
	if keep {
		w.limit = maxJSON
	}
	err := s.snap.Copy(s.ctx, w, f)
	switch {
	case s.ctx.Err() != nil:
		return s.ctx.Err()
	case err != nil && !layout.AboutData(err):
		return err
	case err != nil:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.fail("damaged", f.Path, "%v", err)
		return nil
	}
	if keep {
		s.mu.Lock()
		s.seen.contents[f.Path] = w.data.Bytes()
		s.mu.Unlock()
	}
	return s.hashed(f, f.SHA256, w.data.Bytes())
}

// beginning keeps the first bytes that are written to it.
type beginning struct {
	data  bytes.Buffer
	limit int
}

func (b *beginning) Write(p []byte) (int, error) {
	b.data.Write(p[:min(len(p), b.limit-b.data.Len())])
	return len(p), nil
}

// header compares what the header of a database says with what was recorded: https://www.sqlite.org/fileformat2.html#the_database_header.
func (s *streamer) header(f *manifest.File, begin []byte) {
	if len(begin) < databaseHeader {
		return
	}
	number := func(at int) int64 { return int64(int32(binary.BigEndian.Uint32(begin[at:]))) }
	pageSize := int64(binary.BigEndian.Uint16(begin[16:]))
	if pageSize == 1 {
		pageSize = 65536
	}
	pages := int64(0)
	if pageSize > 0 {
		pages = f.Size / pageSize
	}
	for _, n := range []struct {
		what     string
		was, now int64
	}{
		{"page size", int64(f.SQLite.PageSize), pageSize}, {"pages", f.SQLite.Pages, pages},
		{"user_version", f.SQLite.UserVersion, number(60)}, {"application_id", f.SQLite.ApplicationID, number(68)},
	} {
		if n.was != n.now {
			s.fail("facts", f.Path, "%s: at capture %d, now %d", n.what, n.was, n.now)
		}
	}
}

// streamed is what is known of a snapshot that was read and not laid down.
type streamed struct {
	entries  map[string]entry
	contents map[string][]byte
}

func (s *streamed) stat(path string) (entry, error) {
	e, ok := s.entries[path]
	if !ok {
		return e, fs.ErrNotExist
	}
	return e, nil
}

func (s *streamed) read(path string) ([]byte, error) {
	data, ok := s.contents[path]
	if !ok {
		return nil, fmt.Errorf("its content: %w", layout.ErrDamaged)
	}
	return data, nil
}

func (s *streamed) disk(string) (string, func() error, error) { return "", nil, nil }
