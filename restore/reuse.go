package restore

import (
	"crypto/sha256"
	"os"

	"lifeboat/internal/sparse"
	"lifeboat/manifest"
)

// reused copies a file that is on this machine already, where it goes, in place of fetching it. It is hashed before, and what was copied is hashed
// as it is copied, so it is as sure as what is fetched. Whatever stands in the way, the file is fetched.
func (l *layer) reused(f *manifest.File, name string) (bool, error) {
	if l.opts.reuse == nil || f.Size == 0 {
		return false, nil
	}
	path := l.opts.reuse(f.Path)
	if path == "" {
		return false, nil
	}
	fi, err := os.Lstat(path)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() != f.Size {
		return false, nil
	}
	if sum, err := hashOf(path); err != nil || sum != f.SHA256 {
		return false, nil
	}
	r, err := os.Open(path)
	if err != nil {
		return false, nil
	}
	defer r.Close()
	digest := sha256.New()
	w, err := l.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false, unwanted(f.Path, err)
	}
	defer w.Close()
	if err := copyBytes(w, r, f.Size, digest); err != nil {
		return false, unwanted(f.Path, err)
	}
	if manifest.Hash(digest.Sum(nil)) != f.SHA256 { // it is being changed
		return false, l.root.Remove(name)
	}
	l.reuses.Add(1)
	return true, w.Close()
}

// hashOf returns the SHA-256 of a file, whose holes are not read.
func hashOf(path string) (sum manifest.Hash, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return sum, err
	}
	digest := sha256.New()
	err = sparse.Walk(f, fi.Size(), func(_ int64, part []byte, _ bool) error {
		digest.Write(part)
		return nil
	})
	return manifest.Hash(digest.Sum(nil)), err
}
