package layout

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"sync"

	"lifeboat/archive"
	"lifeboat/manifest"
)

// A Snapshot is a snapshot that is open for reading. Several goroutines may use it. It holds the head, a
// few pieces of the archives table, and no connection: nothing needs to be closed.
type Snapshot struct {
	ID     manifest.ID
	Head   *manifest.Head
	Stored []byte // the manifest as it is stored

	reader *archive.Reader
	roots  map[manifest.Hash]*manifest.Archive
	others func(ctx context.Context, h manifest.Hash) (*manifest.Archive, error) // nil, or see AlsoDescribed

	mu     sync.Mutex
	pieces map[int]map[manifest.Hash]*manifest.Archive // of the archives table, by index; at most maxPieces

	aheadMu sync.Mutex
	ahead   readAhead
}

// maxPieces is how many pieces of the archives table are kept; each describes some 500 archives.
const maxPieces = 32

// OpenSnapshot opens a snapshot that is in one or several places. What one place lacks or has damaged is read from the next.
// workers is how many frames may be decoded at once.
func OpenSnapshot(ctx context.Context, id manifest.ID, workers int, places ...Store) (*Snapshot, error) {
	var errs []error
	for i, p := range places {
		head, stored, err := p.Manifest(Before(ctx, i, len(places)), id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		return newSnapshot(id, head, stored, workers, places)
	}
	if errs == nil {
		return nil, fmt.Errorf("snapshot %s: %w in any place", id, fs.ErrNotExist)
	}
	return nil, errors.Join(errs...)
}

func newSnapshot(id manifest.ID, head *manifest.Head, stored []byte, workers int, places []Store) (*Snapshot, error) {
	reader, err := archive.NewReader(workers, sourcesOf(places)...)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{ID: id, Head: head, Stored: stored, reader: reader,
		roots:  make(map[manifest.Hash]*manifest.Archive, len(head.Roots)),
		pieces: map[int]map[manifest.Hash]*manifest.Archive{}}
	for i := range head.Roots {
		s.roots[head.Roots[i].SHA256] = &head.Roots[i]
	}
	return s, nil
}

// Files yields the files table in order, checked by all the rules of the format.
func (s *Snapshot) Files(ctx context.Context) iter.Seq2[*manifest.File, error] {
	return s.Head.AllFiles(s.fetch(ctx))
}

// WholeFiles yields what can be read of the files table; see manifest.Head.WholeFiles.
func (s *Snapshot) WholeFiles(ctx context.Context, lost func(first, next string, err error) error) iter.Seq2[*manifest.File, error] {
	return s.Head.WholeFiles(s.fetch(ctx), lost)
}

// FilesFrom yields the files at and after path, in order.
func (s *Snapshot) FilesFrom(ctx context.Context, path string) iter.Seq2[*manifest.File, error] {
	return s.Head.FilesFrom(path, s.fetch(ctx))
}

// Archives yields the archives table, which has what files and maps need; the head's Roots are beside it.
func (s *Snapshot) Archives(ctx context.Context) iter.Seq2[*manifest.Archive, error] {
	return s.Head.AllArchives(s.fetch(ctx))
}

// Extents yields the content of a file, in order.
func (s *Snapshot) Extents(ctx context.Context, f *manifest.File) iter.Seq2[manifest.Extent, error] {
	return f.AllExtents(s.fetch(ctx))
}

// Archive returns the description of an archive of this snapshot.
func (s *Snapshot) Archive(ctx context.Context, h manifest.Hash) (*manifest.Archive, error) {
	if a := s.roots[h]; a != nil {
		return a, nil
	}
	i := s.Head.FindArchivePiece(h)
	if i < 0 {
		return nil, fmt.Errorf("%w: archive %s is not in the archives table", manifest.ErrInvalid, h)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	piece := s.pieces[i]
	if piece == nil {
		archives, err := s.Head.ArchivesOf(i, s.fetchRoot(ctx))
		if err != nil && s.others != nil && AboutData(err) {
			if a, err := s.others(ctx, h); err == nil {
				return a, nil
			}
		}
		if err != nil {
			return nil, err
		}
		piece = make(map[manifest.Hash]*manifest.Archive, len(archives))
		for _, a := range archives {
			piece[a.SHA256] = a
		}
		if len(s.pieces) == maxPieces {
			clear(s.pieces)
		}
		s.pieces[i] = piece
	}
	if a := piece[h]; a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("%w: archive %s is not in the archives table", manifest.ErrInvalid, h)
}

// AlsoDescribed says who else may know an archive when its line in the archives table cannot be read: whatever snapshot it is of, an archive is
// described in the same way. It is called before the snapshot is used.
func (s *Snapshot) AlsoDescribed(by func(ctx context.Context, h manifest.Hash) (*manifest.Archive, error)) {
	s.others = by
}

// Read reads ranges of one archive; see archive.Reader.
func (s *Snapshot) Read(ctx context.Context, h manifest.Hash, ranges []archive.Range, fn func(i int, data []byte) error) error {
	a, err := s.Archive(ctx, h)
	if err != nil {
		return err
	}
	return s.reader.Read(ctx, a, ranges, fn)
}

// Verify checks one whole archive at one place, and passes ranges of it to fn on the way; see archive.Reader.
func (s *Snapshot) Verify(ctx context.Context, place Store, a *manifest.Archive, ranges []archive.Range, fn func(i int, data []byte) error) error {
	return s.reader.Verify(ctx, place, a, ranges, fn)
}

// ErrDigest marks content that does not have the SHA-256 that the manifest says.
var ErrDigest = errors.New("content does not have the SHA-256 in the manifest")

// A DigestError says which content that is.
type DigestError struct {
	Path      string // in the snapshot
	Want, Got manifest.Hash
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("%q: %v: want %s, got %s", e.Path, ErrDigest, e.Want, e.Got)
}

func (e *DigestError) Unwrap() error { return ErrDigest }

// Copy writes the content of a file to w. That its SHA-256 is right is known only at the end, so the caller must
// not rely on what was written when Copy fails.
func (s *Snapshot) Copy(ctx context.Context, w io.Writer, f *manifest.File) error {
	digest := sha256.New()
	out := io.MultiWriter(w, digest)
	var archiveOf manifest.Hash
	var ranges []archive.Range
	flush := func() error {
		if len(ranges) == 0 {
			return nil
		}
		err := s.Read(ctx, archiveOf, ranges, func(_ int, data []byte) error {
			_, err := out.Write(data)
			return err
		})
		ranges = ranges[:0]
		return err
	}
	for e, err := range s.Extents(ctx, f) {
		if err != nil {
			return err
		}
		follows := len(ranges) > 0 && e.Archive == archiveOf && e.Off >= ranges[len(ranges)-1].Off
		if !follows {
			if err := flush(); err != nil {
				return err
			}
		}
		if e.IsZeros() {
			if _, err := io.CopyN(out, zeros{}, e.Len); err != nil {
				return err
			}
			continue
		}
		archiveOf = e.Archive
		ranges = append(ranges, archive.Range{Off: e.Off, Len: e.Len})
	}
	if err := flush(); err != nil {
		return err
	}
	if got := manifest.Hash(digest.Sum(nil)); got != f.SHA256 {
		return &DigestError{f.Path, f.SHA256, got}
	}
	return nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// fetch reads from any archive of the snapshot: pieces from the roots, maps from the others.
func (s *Snapshot) fetch(ctx context.Context) manifest.Fetch {
	return func(h manifest.Hash, off, n int64) ([]byte, error) {
		a, err := s.Archive(ctx, h)
		if err != nil {
			return nil, err
		}
		return s.readPiece(ctx, a, off, n)
	}
}

// fetchRoot reads from the roots alone.
func (s *Snapshot) fetchRoot(ctx context.Context) manifest.Fetch {
	return func(h manifest.Hash, off, n int64) ([]byte, error) {
		a := s.roots[h]
		if a == nil {
			return nil, fmt.Errorf("%w: archive %s is no root", manifest.ErrInvalid, h)
		}
		return s.readPiece(ctx, a, off, n)
	}
}

// A readAhead holds bytes of an archive beyond those that were asked for. Pieces and maps are small and are mostly read one
// after the other; without it each would cost a request, and decoding a frame of 1 MiB.
type readAhead struct {
	archive manifest.Hash
	off     int64
	data    []byte
}

// maxAhead is how much is read at most at once.
const maxAhead = 4 << 20

// readPiece returns a piece or map. The first one is read alone, or rather with what else is in its frames; when the next follows it, more is read than
// asked for. So of a small snapshot one request brings all that describes it.
func (s *Snapshot) readPiece(ctx context.Context, a *manifest.Archive, off, n int64) ([]byte, error) {
	if err := a.Contains(off, n); err != nil {
		return nil, err
	}
	s.aheadMu.Lock()
	defer s.aheadMu.Unlock()
	h := &s.ahead
	end := h.off + int64(len(h.data))
	if h.archive == a.SHA256 && off >= h.off && off+n <= end {
		return h.data[off-h.off:][:n:n], nil
	}
	from, want := off, n
	if h.archive == a.SHA256 && off >= h.off && off <= end+frameSlack {
		want = max(n, min(maxAhead, 2*int64(len(h.data))+frameSlack))
	}
	frames := func(n int64) int64 { // where the frames of the next n bytes end; they are decoded whole
		return min(a.Length, (off+n+manifest.FrameSize-1)/manifest.FrameSize*manifest.FrameSize)
	}
	to := frames(want)
	if start := off / manifest.FrameSize * manifest.FrameSize; to-start <= manifest.MaxPiece {
		from = start
	} else {
		to = min(to, off+manifest.MaxPiece)
	}
	data, err := s.reader.ReadAll(ctx, a, from, to-from)
	if err != nil && to > frames(n) && ctx.Err() == nil {
		from = off
		data, err = s.reader.ReadAll(ctx, a, off, n) // the damage may lie in what nobody asked for
	}
	if err != nil {
		return nil, err
	}
	*h = readAhead{a.SHA256, from, data}
	return data[off-from:][:n:n], nil
}

// frameSlack is how far apart two pieces may lie and still follow each other.
const frameSlack = manifest.FrameSize
