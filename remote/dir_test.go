package remote_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"lifeboat/remote"
)

func newDir(t *testing.T, path string) *remote.Dir {
	t.Helper()
	d, err := remote.NewDir(path, remote.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func keys(t *testing.T, s remote.Store, prefix string) []string {
	t.Helper()
	var l []string
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		l = append(l, info.Key)
	}
	return l
}

// files returns all names below a directory, whatever they are.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var l []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			l = append(l, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A directory that is not there is not mounted; nothing is absent, and nothing makes it.
func TestDirMissing(t *testing.T) {
	top := t.TempDir()
	file := filepath.Join(top, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(top, "no"), filepath.Join(top, "no", "such"), file} {
		d := newDir(t, path)
		for name, call := range calls(t, d) {
			err := call()
			if !errors.Is(err, remote.ErrUnavailable) || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "mounted") {
				t.Errorf("%s in %s: %v; want ErrUnavailable alone", name, path, err)
			}
		}
		if _, err := d.Now(t.Context()); !errors.Is(err, remote.ErrUnavailable) {
			t.Errorf("Now in %s = %v, want ErrUnavailable", path, err)
		}
		if _, err := d.Create("archives"); !errors.Is(err, remote.ErrUnavailable) {
			t.Errorf("Create in %s = %v, want ErrUnavailable", path, err)
		}
		if _, err := d.OpenFile("key"); !errors.Is(err, remote.ErrUnavailable) {
			t.Errorf("OpenFile in %s = %v, want ErrUnavailable", path, err)
		}
	}
	if l := files(t, top); !slices.Equal(l, []string{"file"}) {
		t.Errorf("there is %q now", l)
	}
	// It comes and goes while the store is open.
	path := filepath.Join(top, "mount")
	d := newDir(t, path)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Stat(t.Context(), "key"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat = %v, want fs.ErrNotExist", err)
	}
	if err := os.Remove(path); err != nil { // nothing holds it
		t.Fatal(err)
	}
	if _, err := d.Stat(t.Context(), "key"); !errors.Is(err, remote.ErrUnavailable) {
		t.Errorf("Stat = %v, want ErrUnavailable", err)
	}
}

func TestDirCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	s, err := remote.Open(t.Context(), remote.Config{URL: path, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "archives/key", body([]byte("x")), remote.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "windows" {
		t.Log("not checked on Windows: permissions")
		return
	}
	for name, want := range map[string]fs.FileMode{path: 0o700, filepath.Join(path, "archives"): 0o700, filepath.Join(path, "archives", "key"): 0o600} {
		if fi, err := os.Stat(name); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", name, fi.Mode(), err, want)
		}
	}
}

// No symbolic link leads out of the directory, and none hides objects.
func TestDirSymlinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("not checked on Windows: symbolic links, which need a privilege there")
	}
	outside, path := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := newDir(t, path)
	for target, name := range map[string]string{outside: "out", "../" + filepath.Base(outside): "up"} {
		if err := os.Symlink(target, filepath.Join(path, name)); err != nil {
			t.Fatal(err)
		}
		for verb, call := range map[string]func() error{
			"Open":   func() error { _, err := d.Open(t.Context(), name+"/secret", 0, -1); return err },
			"File":   func() error { _, err := d.OpenFile(name + "/secret"); return err },
			"Stat":   func() error { _, err := d.Stat(t.Context(), name+"/secret"); return err },
			"Delete": func() error { return d.Delete(t.Context(), name+"/secret") },
			"Put":    func() error { return d.Put(t.Context(), name+"/new", body(nil), remote.PutOptions{}) },
			"Put2":   func() error { return d.Put(t.Context(), name+"/new/er", body(nil), remote.PutOptions{IfAbsent: true}) },
			"Create": func() error { _, err := d.Create(name); return err },
			"List": func() (err error) {
				for _, err = range d.List(t.Context(), "") {
				}
				return err
			},
			"List below": func() (err error) {
				for _, err = range d.List(t.Context(), name+"/") {
				}
				return err
			},
		} {
			if err := call(); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s through %s = %v, want an error that is not absence", verb, name, err)
			}
		}
		if err := os.Remove(filepath.Join(path, name)); err != nil {
			t.Fatal(err)
		}
	}
	if l := files(t, outside); !slices.Equal(l, []string{"secret"}) {
		t.Errorf("outside there is %q now", l)
	}
	// A link in place of an object is none, and is replaced, not followed.
	if err := os.Symlink(secret, filepath.Join(path, "key")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Open(t.Context(), "key", 0, -1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of a link = %v, want fs.ErrNotExist", err)
	}
	if err := d.Put(t.Context(), "key", body([]byte("mine")), remote.PutOptions{}); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(secret); err != nil || string(b) != "secret" {
		t.Errorf("the file outside is %q now, %v", b, err)
	}
}

// What a crash leaves behind, and what is no file, is nobody's object.
func TestDirLitter(t *testing.T) {
	path := t.TempDir()
	d := newDir(t, path)
	if err := d.Put(t.Context(), "archives/key", body([]byte("x")), remote.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".tmp-1", "archives/.tmp-2", "archives/.tmp-dir/key", "archives/empty/.tmp-3"} {
		name = filepath.Join(path, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if l := keys(t, d, ""); !slices.Equal(l, []string{"archives/key"}) {
		t.Errorf("List = %q", l)
	}
	if l := keys(t, d, "archives/e"); len(l) != 0 {
		t.Errorf("List = %q", l)
	}
	before := files(t, path)
	if _, err := d.Now(t.Context()); err != nil {
		t.Error(err)
	}
	false5 := body([]byte("x"))
	false5.SHA256[0] ^= 1
	for _, opts := range []remote.PutOptions{{}, {IfAbsent: true}} {
		if err := d.Put(t.Context(), "archives/new", false5, opts); !errors.Is(err, remote.ErrMismatch) {
			t.Errorf("Put = %v, want ErrMismatch", err)
		}
		if err := d.Put(t.Context(), "archives/key/below", body(nil), opts); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Put below an object = %v, want fs.ErrInvalid", err)
		}
	}
	if err := d.Put(t.Context(), "archives", body(nil), remote.PutOptions{}); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("Put over a directory = %v, want fs.ErrInvalid", err)
	}
	if err := d.Put(t.Context(), "archives/key", body(nil), remote.PutOptions{IfAbsent: true}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Put if absent = %v, want fs.ErrExist", err)
	}
	if after := files(t, path); !slices.Equal(before, after) {
		t.Errorf("files before %q, after %q", before, after)
	}
}

func TestDirRefused(t *testing.T) {
	if os.Geteuid() <= 0 {
		t.Skip("not checked as root or on Windows, whom permissions do not stop: a directory that may not be read or written")
	}
	path := t.TempDir()
	d := newDir(t, path)
	if err := d.Put(t.Context(), "archives/key", body([]byte("x")), remote.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0o500, 0} {
		if err := os.Chmod(filepath.Join(path, "archives"), mode); err != nil {
			t.Fatal(err)
		}
		if err := d.Put(t.Context(), "archives/new", body(nil), remote.PutOptions{}); !errors.Is(err, remote.ErrUnavailable) {
			t.Errorf("Put at %v = %v, want ErrUnavailable", mode, err)
		}
	}
	if _, err := d.Stat(t.Context(), "archives/key"); !errors.Is(err, remote.ErrUnavailable) {
		t.Errorf("Stat = %v, want ErrUnavailable", err)
	}
	if err := os.Chmod(filepath.Join(path, "archives"), 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestUpload(t *testing.T) {
	path := t.TempDir()
	d := newDir(t, path)
	u, err := d.Create("archives")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Discard()
	h := sha256.New()
	w := io.MultiWriter(u, h)
	data := noise(1_000_000)
	for chunk := range slices.Chunk(data, 70_001) {
		if _, err := w.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if l := keys(t, d, ""); len(l) != 0 {
		t.Errorf("before Commit List = %q", l)
	}
	key := "archives/" + hex.EncodeToString(h.Sum(nil)) + ".tar.zst"
	if err := u.Commit(t.Context(), key, remote.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	u.Discard()
	if got := files(t, path); !slices.Equal(got, []string{key}) {
		t.Errorf("files: %q", got)
	}
	f, err := d.OpenFile(key)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := make([]byte, 10)
	if _, err := f.ReadAt(got, 999_990); err != nil || !bytes.Equal(got, data[999_990:]) {
		t.Errorf("ReadAt = %q, %v", got, err)
	}
	if err := u.Commit(t.Context(), key, remote.PutOptions{}); err == nil {
		t.Error("a second Commit succeeded")
	}
}

// An upload that is not committed, or cannot be, leaves nothing.
func TestUploadFails(t *testing.T) {
	path := t.TempDir()
	d := newDir(t, path)
	if err := d.Put(t.Context(), "archives/taken", body([]byte("old")), remote.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]error{
		"archives/taken":    fs.ErrExist,
		"manifests/other":   fs.ErrInvalid,
		"archives/deeper/x": fs.ErrInvalid,
		"top":               fs.ErrInvalid,
		"archives/../x":     fs.ErrInvalid,
		"archives/.tmp-x":   fs.ErrInvalid,
		"":                  fs.ErrInvalid,
	} {
		u, err := d.Create("archives")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Write([]byte("new")); err != nil {
			t.Fatal(err)
		}
		if err := u.Commit(t.Context(), key, remote.PutOptions{IfAbsent: true}); !errors.Is(err, want) {
			t.Errorf("Commit(%q) = %v, want %v", key, err, want)
		}
	}
	u, err := d.Create(".")
	if err != nil {
		t.Fatal(err)
	}
	u.Discard()
	for _, dir := range []string{"", "..", "../x", "/", ".tmp-x", "a/"} {
		if _, err := d.Create(dir); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Create(%q) = %v, want fs.ErrInvalid", dir, err)
		}
	}
	if got := files(t, path); !slices.Equal(got, []string{"archives/taken"}) {
		t.Errorf("files: %q", got)
	}
	if b, _ := os.ReadFile(filepath.Join(path, "archives", "taken")); string(b) != "old" {
		t.Errorf("the object is %q now", b)
	}
}

// Where there are hard links, IfAbsent is as good as a lock: of many, one wins.
func TestDirIfAbsentIsAtomic(t *testing.T) {
	d := newDir(t, t.TempDir())
	for range 20 {
		var won atomic.Int32
		var writers sync.WaitGroup
		start := make(chan struct{})
		for range 8 {
			writers.Go(func() {
				<-start
				err := d.Put(t.Context(), "mark", body([]byte("x")), remote.PutOptions{IfAbsent: true})
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, fs.ErrExist) {
					t.Error(err)
				}
			})
		}
		close(start)
		writers.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d won, want 1", won.Load())
		}
		if err := d.Delete(t.Context(), "mark"); err != nil {
			t.Fatal(err)
		}
	}
}
