package recoverytest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Expected is what a snapshot must give when it is restored: the content of a <stamp>.expected.json in testdata/stores.
type Expected struct {
	// ID is the full ID of the snapshot.
	ID string `json:"id"`
	// Files has a line for each file, directory and link, in the order of the snapshot. The directories in which single
	// files land have none.
	Files []File `json:"files"`
}

// File is one line of an [Expected], with keys as in the files table of docs/format.md. What is absent is not compared;
// a hard link has a path and a link alone.
type File struct {
	Path    string      `json:"path"`
	Raw     []byte      `json:"raw"`
	Type    string      `json:"type"`
	Mode    string      `json:"mode"`
	UID     *int        `json:"uid"`
	GID     *int        `json:"gid"`
	Mtime   string      `json:"mtime"`
	Size    int64       `json:"size"`
	SHA256  string      `json:"sha256"`
	Link    string      `json:"link"`
	RawLink []byte      `json:"raw_link"`
	Xattrs  [][2]string `json:"xattrs"`
}

// Name returns the path as it is on disk.
func (f File) Name() string {
	if f.Raw != nil {
		return string(f.Raw)
	}
	return f.Path
}

// Target returns what a link points to, as it is on disk.
func (f File) Target() string {
	if f.RawLink != nil {
		return string(f.RawLink)
	}
	return f.Link
}

// ReadExpected reads an expected.json; a failure fails the test.
func ReadExpected(t testing.TB, name string) Expected {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var e Expected
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return e
}

// Compare compares a directory with what was expected in it, every byte and every attribute: type, mode, owner (when the
// test runs as root), time, content, links, and extended attributes if xattrs is set. It returns the names of what is
// missing, and a sentence for everything that is there and is wrong or should not be.
func (e Expected) Compare(dir string, xattrs bool) (missing, wrong []string) {
	known := map[string]bool{}
	for _, f := range e.Files {
		name := f.Name()
		known[name] = true
		known[strings.SplitN(name, "/", 2)[0]] = true
		err := f.compare(dir, xattrs)
		switch {
		case os.IsNotExist(err):
			missing = append(missing, name)
		case err != nil:
			wrong = append(wrong, fmt.Sprintf("%q: %v", name, err))
		}
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if rel, _ := filepath.Rel(dir, path); rel != "." && !known[filepath.ToSlash(rel)] {
			wrong = append(wrong, fmt.Sprintf("%q should not be there", rel))
		}
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		wrong = append(wrong, err.Error())
	}
	return missing, wrong
}

func (f File) compare(dir string, xattrs bool) error {
	name := filepath.Join(dir, filepath.FromSlash(f.Name()))
	info, err := os.Lstat(name)
	if err != nil {
		return err
	}
	switch f.Type {
	case "hardlink":
		return f.compareHardlink(dir, info)
	case "symlink":
		if target, err := os.Readlink(name); err != nil || target != f.Target() {
			return fmt.Errorf("is no symlink to %q, but %v to %q (%v)", f.Target(), info.Mode(), target, err)
		}
	case "directory":
		if !info.IsDir() {
			return fmt.Errorf("is no directory, but %v", info.Mode())
		}
	case "file":
		if err := f.compareContent(name, info); err != nil {
			return err
		}
	default:
		return fmt.Errorf("type %q is not known to this test", f.Type)
	}
	return f.compareAttributes(name, info, xattrs)
}

func (f File) compareHardlink(dir string, info fs.FileInfo) error {
	target, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(f.Target())))
	if err != nil {
		return fmt.Errorf("its target: %v", err)
	}
	if !os.SameFile(info, target) {
		return fmt.Errorf("is not the same file as %q", f.Target())
	}
	return nil
}

func (f File) compareContent(name string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() || info.Size() != f.Size {
		return fmt.Errorf("is no file of %d bytes, but %v of %d", f.Size, info.Mode(), info.Size())
	}
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("%v", err) // not an absent file, which was seen
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != f.SHA256 {
		return fmt.Errorf("has the SHA-256 %s, not %s", got, f.SHA256)
	}
	return nil
}

func (f File) compareAttributes(name string, info fs.FileInfo, xattrs bool) error {
	if got := octal(info.Mode()); f.Type != "symlink" && f.Mode != "" && got != f.Mode {
		return fmt.Errorf("has mode %s, not %s", got, f.Mode)
	}
	if f.Mtime != "" {
		if want, err := parseTime(f.Mtime); err != nil || !info.ModTime().Equal(want) {
			return fmt.Errorf("has the time %v, not %v (%v)", info.ModTime().UTC(), want, err)
		}
	}
	if os.Geteuid() == 0 {
		if err := compareOwner(info, f.UID, f.GID); err != nil {
			return err
		}
	}
	if !xattrs {
		return nil
	}
	got, err := listXattrs(name)
	if err != nil {
		return err
	}
	want := map[string]string{}
	for _, x := range f.Xattrs {
		value, err := base64.StdEncoding.DecodeString(x[1])
		if err != nil {
			return err
		}
		want[x[0]] = string(value)
	}
	if a, b := sorted(got), sorted(want); a != b {
		return fmt.Errorf("has extended attributes %s, not %s", a, b)
	}
	return nil
}

// octal writes a mode as the files table does.
func octal(m fs.FileMode) string {
	bits := uint32(m.Perm())
	for bit, value := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&bit != 0 {
			bits |= value
		}
	}
	return fmt.Sprintf("%04o", bits)
}

// parseTime reads seconds with nine decimals.
func parseTime(s string) (time.Time, error) {
	digits, negative := strings.CutPrefix(s, "-")
	seconds, nanos, ok := strings.Cut(digits, ".")
	if !ok || len(nanos) != 9 {
		return time.Time{}, fmt.Errorf("time %q", s)
	}
	sec, err1 := strconv.ParseInt(seconds, 10, 64)
	nsec, err2 := strconv.ParseInt(nanos, 10, 64)
	if err1 != nil || err2 != nil {
		return time.Time{}, fmt.Errorf("time %q", s)
	}
	if negative {
		sec, nsec = -sec, -nsec
	}
	return time.Unix(sec, nsec).UTC(), nil
}

func sorted(m map[string]string) string {
	lines := make([]string, 0, len(m))
	for k, v := range m {
		lines = append(lines, fmt.Sprintf("%s=%q", k, v))
	}
	sort.Strings(lines)
	return strings.Join(lines, " ")
}
