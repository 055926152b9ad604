package adopt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lifeboat/internal/sqlitedb"
	"lifeboat/manifest"
	"lifeboat/snapshot"
)

// The directories in an old snapshot.
const (
	databaseDir = "db"
	registryDir = "config"
	chromaDir   = "chroma"
)

// chromaDatabase is the database in every vector store of Chroma.
const chromaDatabase = "chroma.sqlite3"

// maxRegistry bounds what is read of a registry to parse it, in bytes. A larger one is not parsed.
const maxRegistry = 64 << 20

// Inspect looks at an old snapshot, reads all of it but the files of the vector store, and checks its databases. What is wrong is in the
// result, all of it; an error means that it could not be found out. scratch is the directory for temporary files, "" for the system's.
func Inspect(ctx context.Context, dir string, names Names, scratch string) (*Found, error) {
	f := &Found{Dir: dir, Name: filepath.Base(dir), Stamp: stampOfName(filepath.Base(dir))}
	if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
		f.add(Unreadable, "", "it is a symbolic link; name the directory that it leads to")
		return f, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		f.add(Unreadable, "", pathless(err))
		return f, nil
	}
	defer root.Close()
	i := &inspection{ctx: ctx, Found: f, root: root, names: names, scratch: scratch}
	meta, code, err := readMetadata(root)
	if err != nil {
		f.add(code, metadataName, pathless(err))
		meta = i.guess()
	}
	if f.Stamp == "" {
		f.Stamp = stampOfTime(meta.CreatedAt)
	}
	if f.Stamp == "" {
		f.add(StampUnknown, "", "neither the name of the directory nor created_at in its metadata tells when it was made")
		if code == MetadataMissing {
			return f, nil // it is no snapshot at all, for all that can be seen
		}
	}
	i.database(meta)
	i.registry(meta)
	i.chroma(meta)
	i.leftOut()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return f, nil
}

type inspection struct {
	*Found
	ctx     context.Context
	root    *os.Root
	names   Names
	scratch string
	taken   []string // paths below the directory
}

// guess tells from the directory what its metadata would say.
func (i *inspection) guess() *metadata {
	m := &metadata{}
	switch files := i.files(databaseDir); len(files) {
	case 0:
	case 1:
		m.DatabasePath = files[0]
	default:
		m.DatabasePath = files[0]
		i.add(Ambiguous, databaseDir, fmt.Sprintf("there are %d files, and no metadata says which is the database", len(files)))
	}
	if files := i.files(registryDir); len(files) > 0 {
		m.RegistryPath = files[0]
	}
	if info, err := i.root.Lstat(chromaDir); err == nil && info.IsDir() {
		m.ChromaPath = chromaDir
	}
	return m
}

// files lists the regular files in a directory of the snapshot, without the sidecars of databases.
func (i *inspection) files(dir string) (paths []string) {
	f, err := i.root.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		database, beside := sqlitedb.SidecarOf(e.Name())
		beside = beside && slices.ContainsFunc(entries, func(other fs.DirEntry) bool { return other.Name() == database })
		if e.Type().IsRegular() && !beside {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(paths)
	return paths
}

func isRegular(info fs.FileInfo) bool { return info.Mode().IsRegular() }

// take makes something a source.
func (i *inspection) take(name, rel string) {
	i.taken = append(i.taken, rel)
	i.Sources = append(i.Sources, snapshot.Source{Name: name, Path: filepath.Join(i.Dir, rel)})
}

func (i *inspection) omit(name string) {
	i.Omitted = append(i.Omitted, manifest.Omission{Source: name, Why: "not in the snapshot that was adopted"})
}

func (i *inspection) database(m *metadata) {
	rel := locate(i.root, i.Name, m.DatabasePath, isRegular)
	if rel == "" && m.DatabasePath == "" {
		if files := i.files(databaseDir); len(files) == 1 {
			rel = files[0]
		}
	}
	if rel == "" {
		i.add(DatabaseMissing, databaseDir, missing(m.DatabasePath))
		return
	}
	i.take(i.names.Database, rel)
	info, err := i.root.Lstat(rel)
	if err == nil && m.DatabaseSize != nil && info.Size() != *m.DatabaseSize {
		i.add(DatabaseSize, rel, fmt.Sprintf("it has %d bytes, and %d were recorded", info.Size(), *m.DatabaseSize))
	}
	i.integrity(rel, DatabaseCorrupt)
}

// missing says what is not there.
func missing(recorded string) string {
	if recorded == "" {
		return "there is none, and no path was recorded"
	}
	return fmt.Sprintf("%q was recorded, and is not in this directory", recorded)
}

// integrity checks a database, as the tool would have: with the log that lies beside it, if one was left there.
func (i *inspection) integrity(rel string, code Code) {
	path := filepath.Join(i.Dir, rel)
	var result sqlitedb.Integrity
	var detail string
	var err error
	if i.hasLog(rel) {
		var p *sqlitedb.Pinned
		if p, err = sqlitedb.Pin(i.ctx, path, sqlitedb.Options{Scratch: i.scratch}); err == nil {
			defer p.Close()
			result, detail, err = p.QuickCheck(i.ctx)
		}
	} else {
		result, detail, err = sqlitedb.Check(i.ctx, path, sqlitedb.Full)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		i.add(Unreadable, rel, pathless(err))
	case err != nil:
		i.add(code, rel, err.Error())
	case result == sqlitedb.Corrupt:
		i.add(code, rel, detail)
	}
}

// hasLog reports whether something lies beside a database that belongs to its content.
func (i *inspection) hasLog(rel string) bool {
	return slices.ContainsFunc(sqlitedb.Sidecars(rel), func(beside string) bool {
		info, err := i.root.Lstat(beside)
		return err == nil && info.Size() > 0 && !strings.HasSuffix(beside, "-shm")
	})
}

func (i *inspection) registry(m *metadata) {
	if m.RegistryPath == "" {
		i.omit(i.names.Registry)
		return
	}
	rel := locate(i.root, i.Name, m.RegistryPath, isRegular)
	if rel == "" {
		i.add(RegistryMissing, registryDir, missing(m.RegistryPath))
		return
	}
	i.take(i.names.Registry, rel)
	f, err := i.root.Open(rel)
	if err != nil {
		i.add(Unreadable, rel, pathless(err))
		return
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxRegistry+1))
	switch {
	case err != nil:
		i.add(Unreadable, rel, pathless(err))
	case len(data) > maxRegistry:
	default:
		if err := json.Unmarshal(data, new(any)); err != nil {
			i.add(RegistryInvalid, rel, err.Error())
		}
	}
}

func (i *inspection) chroma(m *metadata) {
	if !m.hasChroma() {
		i.omit(i.names.Chroma)
		return
	}
	rel := locate(i.root, i.Name, m.ChromaPath, fs.FileInfo.IsDir)
	if rel == "" && m.ChromaPath == "" {
		if info, err := i.root.Lstat(chromaDir); err == nil && info.IsDir() {
			rel = chromaDir
		}
	}
	if rel == "" {
		i.add(ChromaMissing, chromaDir, missing(m.ChromaPath))
		return
	}
	i.take(i.names.Chroma, rel)
	files, bytes, err := i.measure(rel)
	if err != nil {
		i.add(Unreadable, rel, err.Error())
		return
	}
	if m.ChromaFiles != nil && files != *m.ChromaFiles {
		i.add(ChromaFiles, rel, fmt.Sprintf("there are %d files, and %d were recorded", files, *m.ChromaFiles))
	}
	if m.ChromaBytes != nil && bytes != *m.ChromaBytes {
		i.add(ChromaSize, rel, fmt.Sprintf("its files have %d bytes, and %d were recorded", bytes, *m.ChromaBytes))
	}
	database := filepath.Join(rel, chromaDatabase)
	if info, err := i.root.Lstat(database); err == nil && info.Mode().IsRegular() {
		i.integrity(database, ChromaCorrupt)
	}
}

// measure counts the files of a directory, and their bytes.
func (i *inspection) measure(rel string) (files, bytes int64, err error) {
	err = fs.WalkDir(i.root.FS(), filepath.ToSlash(rel), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		files++
		bytes += info.Size()
		return i.ctx.Err()
	})
	return files, bytes, err
}

// leftOut notes what is in the directory and is no part of a source.
func (i *inspection) leftOut() {
	entries, err := fs.ReadDir(i.root.FS(), ".")
	if err != nil {
		i.add(Unreadable, "", pathless(err))
		return
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case name == metadataName, slices.Contains(i.taken, name):
		case name == databaseDir || name == registryDir:
			for _, path := range i.files(name) {
				if !slices.Contains(i.taken, path) {
					i.LeftOut = append(i.LeftOut, filepath.ToSlash(path))
				}
			}
		default:
			i.LeftOut = append(i.LeftOut, name)
		}
	}
}
