package drill

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lifeboat/internal/sqlitedb"
	"lifeboat/manifest"
	"lifeboat/restore"
)

// database compares one that was laid down with what was recorded of it. An error means that this could not be done.
func (d *drill) database(tree string, db restore.Database) error {
	before := d.r.FailureCount
	d.integrity(db)
	path := filepath.Join(tree, filepath.FromSlash(db.Path))
	ctx, cancel := context.WithTimeout(d.ctx, restore.CheckLimit(db.Size))
	defer cancel()
	lock, err := unlock(tree, path)
	if err != nil {
		return err
	}
	why, err := sqlitedb.Rehearse(ctx, path)
	var facts sqlitedb.Facts
	if err == nil {
		facts, err = sqlitedb.ImageFacts(ctx, path)
	}
	err = errors.Join(err, lock())
	switch {
	case d.ctx.Err() != nil:
		return context.Cause(d.ctx)
	case ctx.Err() != nil:
		d.fail("database", db.Path, "it could not be looked at within %s", restore.CheckLimit(db.Size))
		return nil
	case errors.Is(err, sqlitedb.ErrNotDatabase):
		d.fail("database", db.Path, "%v", err)
		return nil
	case err != nil:
		return fmt.Errorf("look at %q: %w", db.Path, err)
	}
	switch {
	case why == "":
	case db.Integrity == string(sqlitedb.Unverifiable):
		d.skip("database", db.Path, "it cannot be opened without what only its application has: "+why)
	default:
		d.fail("database", db.Path, "its application could not use it: %s", why)
	}
	d.facts(db, facts)
	if d.r.FailureCount == before {
		d.r.Checks.Databases++
	}
	return nil
}

// integrity judges what the integrity check found, in the light of what was found at capture.
func (d *drill) integrity(db restore.Database) {
	switch sqlitedb.Integrity(db.Integrity) {
	case sqlitedb.OK:
	case sqlitedb.Corrupt:
		d.fail("integrity", db.Path, "%s", db.Detail)
	case sqlitedb.Unverifiable:
		if db.Captured != db.Integrity {
			d.fail("integrity", db.Path, "at capture it was %s, and now it cannot be verified: %s", db.Captured, db.Detail)
			return
		}
		d.skip("integrity", db.Path, "as at capture: "+db.Detail)
	default:
		d.skip("integrity", db.Path, db.Integrity+": "+db.Detail) // the tables are whole, and what the application can repair is as it was
	}
}

// facts compares what was recorded of a database with what it is now.
func (d *drill) facts(db restore.Database, now sqlitedb.Facts) {
	was := db.Facts
	differs := func(what string, was, now any) { d.fail("facts", db.Path, "%s: at capture %v, now %v", what, was, now) }
	for _, n := range []struct {
		what     string
		was, now int64
	}{
		{"page size", int64(was.PageSize), int64(now.PageSize)}, {"pages", was.Pages, int64(now.Pages)},
		{"user_version", was.UserVersion, int64(now.UserVersion)}, {"application_id", was.ApplicationID, int64(now.ApplicationID)},
	} {
		if n.was != n.now {
			differs(n.what, n.was, n.now)
		}
	}
	if was.SchemaSHA256 == nil {
		d.skip("facts", db.Path, "its schema, rows and foreign keys were not recorded at capture")
		return
	}
	if now := manifest.Hash(now.SchemaSHA256); *was.SchemaSHA256 != now {
		differs("SHA-256 of the schema", *was.SchemaSHA256, now)
	}
	if was.ForeignKeys != now.ForeignKeys {
		d.fail("foreign_keys", db.Path, "at capture %d rows had a foreign key that leads nowhere, now %d", was.ForeignKeys, now.ForeignKeys)
	}
	rows := map[string]int64{}
	for _, t := range now.Tables {
		rows[t.Name] = t.Rows
	}
	for _, t := range was.Tables {
		n, there := rows[t.Name]
		delete(rows, t.Name)
		switch {
		case !there:
			d.fail("facts", db.Path, "table %q is not there", t.Name)
		case n != t.Rows:
			differs(fmt.Sprintf("rows of %q", t.Name), t.Rows, n)
		default:
			d.r.Checks.Tables++
			d.r.Checks.Rows += n
		}
	}
	for name := range rows {
		d.fail("facts", db.Path, "table %q was not there at capture", name)
	}
}

// unlock lets this process read and write a file that was laid down with the mode that it had, and what lies beside it. The function that it
// returns puts the modes back. As in the snapshot, nothing lies below a symbolic link, nor below a file: there is fs.ErrNotExist.
func unlock(tree, path string) (lock func() error, err error) {
	type mode struct {
		path string
		mode fs.FileMode
	}
	var changed []mode
	lock = func() (err error) {
		for _, m := range changed {
			err = errors.Join(err, os.Chmod(m.path, m.mode))
		}
		return err
	}
	var down []string // from the tree to the file
	for dir := path; dir != tree && len(dir) > len(tree); dir = filepath.Dir(dir) {
		down = append([]string{dir}, down...)
	}
	for i, p := range down {
		fi, err := os.Lstat(p)
		if err == nil && !fi.IsDir() && i < len(down)-1 {
			err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		if err != nil {
			return lock, errors.Join(err, lock())
		}
		want := fi.Mode() | 0o600
		if fi.IsDir() {
			want = fi.Mode() | 0o700
		}
		if want == fi.Mode() || fi.Mode()&fs.ModeSymlink != 0 {
			continue
		}
		if err := os.Chmod(p, want); err != nil {
			return lock, errors.Join(err, lock())
		}
		changed = append([]mode{{p, fi.Mode()}}, changed...) // put back from the file up
	}
	return lock, nil
}
