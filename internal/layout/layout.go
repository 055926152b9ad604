// Package layout gives the names in a store their meaning: which key is an archive, which a manifest, and how
// one gets from the ID of a snapshot to the bytes of its files (docs/format.md, section 1).
//
// Every store, local or remote, has this one layout, so that pushing, pulling, copying and restoring are the same
// code whichever way they go. A [Store] is any remote.Store seen in this way; a [Snapshot] is one snapshot, opened
// for reading from all the places that have it.
package layout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"lifeboat/internal/zst"
	"lifeboat/manifest"
	"lifeboat/remote"
)

// MarkerKey is the object that makes a place a store.
const MarkerKey = "lifeboat.json"

const (
	archivesPrefix  = "archives/"
	archiveSuffix   = ".tar.zst"
	manifestsPrefix = "manifests/"
	manifestSuffix  = ".json.zst"
)

// StagingPrefix begins the names of the directories in which restores lay down what is not yet whole. They are no part of
// anybody's state, so captures leave them out.
const StagingPrefix = ".lifeboat-restore-"

// SwapPrefix begins the names of the directories from which restores in place exchange what is in use, and in which they keep what was
// there before. Captures leave them out as well.
const SwapPrefix = ".lifeboat-swap-"

// ArchiveKey returns the key of an archive.
func ArchiveKey(h manifest.Hash) string { return archivesPrefix + h.String() + archiveSuffix }

// ParseArchiveKey returns the archive that a key is of, if it is of one.
func ParseArchiveKey(key string) (manifest.Hash, bool) {
	a, ok := archiveOf(remote.Info{Key: key})
	return a.SHA256, ok
}

// ManifestKey returns the key of the manifest of a snapshot.
func ManifestKey(id manifest.ID) string { return manifestsPrefix + id.String() + manifestSuffix }

// A Store is a place in the layout of the format.
type Store struct{ remote.Store }

// A Marker says whose store it is.
type Marker struct {
	Format  string    `json:"format"`
	ID      string    `json:"id"` // UUID
	App     string    `json:"app"`
	Created time.Time `json:"created"`
}

// maxMarker bounds the size of a marker, in bytes.
const maxMarker = 64 << 10

// Marker reads the marker. That there is none is fs.ErrNotExist; one of another format is a *manifest.FormatError; what is no marker is
// manifest.ErrInvalid and ErrDamaged.
func (s Store) Marker(ctx context.Context) (Marker, error) {
	data, err := s.ReadSmall(ctx, MarkerKey, maxMarker)
	if err != nil {
		return Marker{}, err
	}
	m, err := ParseMarker(data)
	if errors.Is(err, manifest.ErrInvalid) {
		err = &markerError{err}
	}
	if err != nil {
		return Marker{}, fmt.Errorf("%s: %s: %w", s, MarkerKey, err)
	}
	return m, nil
}

// A markerError is ErrDamaged and manifest.ErrInvalid, and does not speak of a manifest.
type markerError struct{ err error }

func (e *markerError) Error() string {
	return ErrDamaged.Error() + ": " + strings.TrimPrefix(e.err.Error(), manifest.ErrInvalid.Error()+": ")
}

func (e *markerError) Unwrap() []error { return []error{ErrDamaged, e.err} }

// markerID is a UUID as every one of them is written.
var markerID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// ParseMarker reads a marker. What is none is manifest.ErrInvalid.
func ParseMarker(data []byte) (Marker, error) {
	var m Marker
	if err := manifest.CheckFormat(data); err != nil {
		return m, err
	}
	if err := manifest.Unmarshal(data, &m); err != nil {
		return Marker{}, err
	}
	if err := manifest.CheckName(m.App); err != nil {
		return Marker{}, fmt.Errorf("app: %w", err)
	}
	if !markerID.MatchString(m.ID) {
		return Marker{}, fmt.Errorf("%w: id %.80q is no UUID", manifest.ErrInvalid, m.ID)
	}
	if _, offset := m.Created.Zone(); offset != 0 || m.Created.IsZero() {
		return Marker{}, fmt.Errorf("%w: created %s", manifest.ErrInvalid, m.Created.Format(time.RFC3339))
	}
	return m, nil
}

// A File is an object that is written into every store as it is.
type File struct {
	Name string
	Data []byte
}

// Init makes a place a store: it writes the files of the recovery kit, all at once, then the marker.
// When another process was first, its marker is returned, and nothing is changed.
func (s Store) Init(ctx context.Context, m Marker, kit []File) (Marker, error) {
	g, putting := errgroup.WithContext(ctx)
	for _, f := range kit {
		g.Go(func() error { return s.PutSmall(putting, f.Name, f.Data, remote.PutOptions{}) })
	}
	if err := g.Wait(); err != nil {
		return m, err
	}
	m.Format = manifest.Format
	data, err := json.Marshal(m)
	if err != nil {
		return m, err
	}
	err = s.Put(ctx, MarkerKey, bodyOf(append(data, '\n')), remote.PutOptions{IfAbsent: true})
	if errors.Is(err, fs.ErrExist) {
		return s.Marker(ctx)
	}
	return m, err
}

// An Entry is a snapshot that a store lists.
type Entry struct {
	ID      manifest.ID
	Size    int64 // of the manifest, in bytes
	ModTime time.Time
}

// Snapshots lists the snapshots, oldest first. Objects whose names are not those of manifests are ignored.
func (s Store) Snapshots(ctx context.Context) ([]Entry, error) {
	return s.entries(ctx, manifestsPrefix)
}

func (s Store) entries(ctx context.Context, prefix string) ([]Entry, error) {
	var entries []Entry
	for info, err := range s.List(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		if e, ok := entryOf(info, prefix); ok {
			entries = append(entries, e)
		}
	}
	return entries, nil
}

// entryOf returns the snapshot whose manifest an object below prefix is, if it is one.
func entryOf(info remote.Info, prefix string) (Entry, bool) {
	name, below := strings.CutPrefix(info.Key, prefix)
	base, ok := strings.CutSuffix(name, manifestSuffix)
	if !below || !ok {
		return Entry{}, false
	}
	id, err := manifest.ParseID(base)
	return Entry{id, info.Size, info.ModTime}, err == nil
}

// An ArchiveInfo is an archive that a store lists.
type ArchiveInfo struct {
	SHA256  manifest.Hash
	Size    int64
	ModTime time.Time
}

// ListArchives yields the archives, ascending by hash.
func (s Store) ListArchives(ctx context.Context) iter.Seq2[ArchiveInfo, error] {
	return func(yield func(ArchiveInfo, error) bool) {
		for info, err := range s.List(ctx, archivesPrefix) {
			if err != nil {
				yield(ArchiveInfo{}, err)
				return
			}
			if a, ok := archiveOf(info); ok && !yield(a, nil) {
				return
			}
		}
	}
}

// archiveOf returns the archive that an object is, if it is one.
func archiveOf(info remote.Info) (ArchiveInfo, bool) {
	name, below := strings.CutPrefix(info.Key, archivesPrefix)
	base, ok := strings.CutSuffix(name, archiveSuffix)
	if !below || !ok {
		return ArchiveInfo{}, false
	}
	h, err := manifest.ParseHash(base)
	return ArchiveInfo{h, info.Size, info.ModTime}, err == nil
}

// Manifest reads the manifest of a snapshot and checks it against its name. It returns the stored bytes too, since
// stores copy those and never encode again.
func (s Store) Manifest(ctx context.Context, id manifest.ID) (*manifest.Head, []byte, error) {
	key := ManifestKey(id)
	stored, err := s.ReadSmall(ctx, key, manifest.MaxHeadStored)
	if err != nil {
		return nil, nil, err
	}
	head, err := ParseManifest(id, stored)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %s: %w", s, key, err)
	}
	return head, stored, nil
}

// ErrDamaged marks a manifest whose bytes are not those of its name.
var ErrDamaged = errors.New("damaged")

// ParseManifest reads the stored bytes of a manifest, which must be those of its name.
func ParseManifest(id manifest.ID, stored []byte) (*manifest.Head, error) {
	if got := manifest.HashOf(stored); got != id.SHA256 {
		return nil, fmt.Errorf("%w: its SHA-256 is %s", ErrDamaged, got)
	}
	dec, err := zst.NewDecoder(1)
	if err != nil {
		return nil, err
	}
	data, err := dec.DecodeBounded(stored, manifest.MaxHead)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", manifest.ErrInvalid, err) // it is what its writer made of it
	}
	head, err := manifest.ParseHead(data)
	if err != nil {
		return nil, err
	}
	if head.Stamp != id.Stamp {
		return nil, fmt.Errorf("%w: it says that it is %s", manifest.ErrInvalid, head.Stamp)
	}
	return head, nil
}

// IsJSON reports whether the stored bytes of a manifest decode to JSON, whatever it says.
func IsJSON(stored []byte) bool {
	dec, err := zst.NewDecoder(1)
	if err != nil {
		return false
	}
	data, err := dec.DecodeBounded(stored, manifest.MaxHead)
	return err == nil && json.Valid(data)
}

// SealManifest returns the bytes under which a manifest is stored, and its ID.
func SealManifest(h *manifest.Head) (manifest.ID, []byte, error) {
	data, err := h.Encode()
	if err != nil {
		return manifest.ID{}, nil, err
	}
	enc, err := zst.NewEncoder(zst.Better, 1)
	if err != nil {
		return manifest.ID{}, nil, err
	}
	stored := enc.Encode(nil, data)
	if len(stored) > manifest.MaxHeadStored {
		return manifest.ID{}, nil, fmt.Errorf("manifest of %d bytes, more than %d", len(stored), manifest.MaxHeadStored)
	}
	return manifest.ID{Stamp: h.Stamp, SHA256: manifest.HashOf(stored)}, stored, nil
}

// Commit stores a manifest, and so makes the snapshot exist. Every archive that it needs must be in the store.
func (s Store) Commit(ctx context.Context, id manifest.ID, stored []byte) error {
	err := s.Put(ctx, ManifestKey(id), bodyOf(stored), remote.PutOptions{IfAbsent: true, Same: true})
	if errors.Is(err, fs.ErrExist) {
		return nil // its name is its content
	}
	return err
}

// Replace puts a manifest in the place of one whose bytes are not those of its name. Every archive that it needs must be in the store.
func (s Store) Replace(ctx context.Context, id manifest.ID, stored []byte) error {
	return s.Put(ctx, ManifestKey(id), bodyOf(stored), remote.PutOptions{})
}

// OpenArchive implements archive.Source.
func (s Store) OpenArchive(ctx context.Context, h manifest.Hash, off, n int64) (io.ReadCloser, error) {
	return s.Open(ctx, ArchiveKey(h), off, n)
}

// ArchiveKey implements archive.Source.
func (s Store) ArchiveKey(h manifest.Hash) string { return ArchiveKey(h) }

func bodyOf(data []byte) remote.Body {
	return remote.Body{ReaderAt: bytes.NewReader(data), Size: int64(len(data)), SHA256: manifest.HashOf(data)}
}

// PutSmall stores an object that is in memory.
func (s Store) PutSmall(ctx context.Context, key string, data []byte, opts remote.PutOptions) error {
	return s.Put(ctx, key, bodyOf(data), opts)
}

// ReadSmall returns an object of at most limit bytes. A larger one is manifest.ErrInvalid.
func (s Store) ReadSmall(ctx context.Context, key string, limit int64) ([]byte, error) {
	r, err := s.Open(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %s: %w", s, key, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read %s: %s: %w: more than %d bytes", s, key, manifest.ErrInvalid, limit)
	}
	return data, nil
}
