package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	sqlite3 "modernc.org/sqlite/lib"
)

// Check checks an image: a file that a database was written to and that nobody uses yet, perhaps made by
// somebody who means harm. Its sidecars, if any, are ignored, and none appear. The results are those of
// Pinned.QuickCheck; whatever is wrong with the content is a result, and an error means that it could not be
// read. How long that may take is for ctx to say.
func Check(ctx context.Context, path string, depth Depth) (result Integrity, detail string, err error) {
	var f findings
	err = withImage(ctx, path, func(p *Pinned, size int64) error {
		if p.Size() != size { // SQLite itself ignores what is too much
			f.add(Corrupt, fmt.Sprintf("%d bytes long, but %d pages of %d bytes by the header", size, p.Pages(), p.PageSize()))
		}
		return p.check(ctx, &f, depth)
	})
	if isContent(err) {
		f.failure(err)
		err = nil
	}
	if err != nil {
		return "", "", err
	}
	result, detail = f.sum()
	return result, detail, nil
}

// ImageFacts reads the facts of an image. They equal those of the database that it was captured from.
func ImageFacts(ctx context.Context, path string) (facts Facts, err error) {
	err = withImage(ctx, path, func(p *Pinned, _ int64) error {
		facts, err = p.ReadFacts(ctx)
		return err
	})
	return facts, err
}

// withImage calls fn with an image and its size.
//
// It is opened immutable, and defensive (https://www.sqlite.org/security.html) unless its schema is damaged: then
// the rest can only be read by passing over the errors, which defensive mode does not allow. No value may be longer than the file: one
// that is comes out of an expression in the schema, and could take a gigabyte. The page cache is of 8 MB, for the look-ups in indexes of a full check: it takes a
// sixth less time than with 2 MB, and no less with more.
func withImage(ctx context.Context, path string, fn func(p *Pinned, size int64) error) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("open %s: not a regular file", path)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	p := &Pinned{source: &source{path: abs}, header: parseHeader(nil), longest: min(max(info.Size(), 1<<20), 1<<30)}
	defer p.Close()
	if info.Size() > 0 {
		const uri = "mode=ro&immutable=1"
		err := p.begin(ctx, abs, uri+"&_defensive=1", Options{})
		if isSchema(err) {
			err = p.begin(ctx, abs, uri, Options{})
		}
		if code(err)&0xff == sqlite3.SQLITE_NOTADB {
			err = errors.Join(ErrNotDatabase, err)
		}
		if err != nil {
			return fmt.Errorf("open %s: %w", path, err)
		}
		_ = p.conn.exec(ctx, "PRAGMA main.cache_size=-8000") // in the URI it would be an error of a damaged schema
	}
	return fn(p, info.Size())
}
