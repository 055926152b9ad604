//go:build unix

package snaptest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// names are those that break programs. None is like another one's sidecar.
var names = []string{
	" ", " before", "after ", "in side", "new\nline", "tab\tand\rreturn", `double"quote`, "single'quote", "`touch pwned`", "$(touch pwned)",
	"-", "--", "-rf", "*", "?", "[x]", "{a,b}", "!", "#", "%", "%2F", "%41", "%00", `back\slash`, `\n`, ";", "&", "|", "~", "=",
	"not utf8 \xff", "\xfe\xff", "half \xc3", "caf\u00e9", "cafe\u0301", "\U0001f6df", "\u202egnp.exe", "\x01\x1b[31m\x7f", "\ufffd",
	".hidden", "..data", "...", "a", "a.txt", "a-b", "a!", "A", "lost+found", ".lifeboat", "chunks", "lifeboat.json", "archives",
	"broken.json", "fine.json", "empty.json", "lonely.db-wal", "lonely.db-journal", "x-mjABCDEF9FF", ".tmp-x", "con", "nul.txt", "trailing.",
}

// sizes are those at which something changes: chunks are 64 KiB, segments and frames 1 MiB.
var sizes = []int64{0, 1, 2, 15, 16, 17, 511, 512, 513, 4095, 4096, 65535, 65536, 65537, 131072, 200_000, 1<<20 - 1, 1 << 20, 1<<20 + 1, 1<<20 + 65536}

// An OddTree makes trees of odd names, sizes, modes, times and links, the same for the same seed.
type OddTree struct {
	Seed    uint64
	Entries int  // about how many; 0 means 60
	Root    bool // make what only root can: files of other owners, and files that the owner cannot read

	random *rand.Rand
	t      testing.TB
	files  []string
	dirs   []string // each with its parent before it
	xattrs bool     // the file system has extended attributes
}

// Make makes the tree in dir, which is made too.
func (o OddTree) Make(t testing.TB, dir string) {
	t.Helper()
	o.t, o.random = t, rand.New(rand.NewPCG(o.Seed, 7))
	o.must(os.MkdirAll(dir, 0o755))
	o.dirs = []string{dir}
	if o.xattrs = HasXattrs(dir); !o.xattrs {
		t.Log("NOT CHECKED: extended attributes, which this file system has not")
	}
	n := o.Entries
	if n == 0 {
		n = 60
	}
	for range n {
		o.entry()
	}
	for i := len(o.dirs) - 1; i >= 0; i-- { // inner first, so that nothing is touched afterwards
		o.touch(o.dirs[i], []os.FileMode{0o755, 0o755, 0o700, 0o555, 0o500, os.ModeSticky | 0o777, os.ModeSetgid | 0o755})
	}
}

func (o *OddTree) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func (o *OddTree) name() string {
	switch o.random.IntN(12) {
	case 0:
		return strings.Repeat(string(rune('a'+o.random.IntN(26))), 255)
	case 1:
		b := make([]byte, 1+o.random.IntN(40))
		for i := range b {
			for b[i] == 0 || b[i] == '/' {
				b[i] = byte(o.random.Uint32())
			}
		}
		if string(b) == "." || string(b) == ".." {
			return "dots"
		}
		return string(b)
	}
	return pick(o.random, names)
}

func (o *OddTree) entry() {
	path := filepath.Join(pick(o.random, o.dirs), "x")
	path = path[:len(path)-1] + o.name() // Join would clean the name
	if _, err := os.Lstat(path); err == nil || len(path) > 3500 {
		return
	}
	switch o.random.IntN(10) {
	case 0, 1:
		o.must(os.Mkdir(path, 0o700))
		o.dirs = append(o.dirs, path)
	case 2:
		o.must(os.Symlink(pick(o.random, []string{"..", "/", "/etc/passwd", "nowhere", "a", ".", "x/../../..", "not utf8 \xff", "loop", strings.Repeat("l", 4000)}), path))
		if o.Root {
			o.must(os.Lchown(path, o.random.IntN(70000), o.random.IntN(70000)))
		}
		o.oddXattrs(path, false, true)
	case 3:
		if len(o.files) > 0 {
			o.must(os.Link(pick(o.random, o.files), path))
		}
	default:
		o.file(path)
		o.files = append(o.files, path)
	}
}

func (o *OddTree) file(path string) {
	WriteFile(o.t, path, pick(o.random, sizes), Shape(o.random.IntN(int(shapes))), o.random.Uint64())
	modes := []os.FileMode{0o644, 0o600, 0o755, 0o400, 0o444, 0o777, 0o640 | os.ModeSetuid, 0o750 | os.ModeSetgid}
	if o.Root {
		modes = append(modes, 0o000, 0o111)
	}
	o.touch(path, modes)
}

// touch sets owner, mode and time.
func (o *OddTree) touch(path string, modes []os.FileMode) {
	if o.Root && o.random.IntN(2) == 0 {
		o.must(os.Lchown(path, o.random.IntN(70000), o.random.IntN(70000)))
	}
	fi, err := os.Lstat(path)
	o.must(err)
	o.oddXattrs(path, fi.IsDir(), false)
	o.must(os.Chmod(path, pick(o.random, modes)))
	sec := pick(o.random, []int64{0, -1, -1_000_000_000, 1, 1_700_000_000, 4_000_000_000})
	t := time.Unix(sec, o.random.Int64N(1_000_000_000))
	o.must(os.Chtimes(path, t, t))
}

// A Shape says where a file has zeros.
type Shape int

const (
	Random    Shape = iota // none
	Zeros                  // everywhere
	Sparse                 // everywhere, as a hole
	ZeroFirst              // at the beginning
	ZeroLast               // at the end
	ZeroInner              // in the middle
	Holes                  // here and there, as holes
	Repeating              // none, but it compresses well
	shapes
)

// WriteFile makes a file of a size and shape.
func WriteFile(t testing.TB, path string, size int64, shape Shape, seed uint64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(seed, 3))
	const block = 64 << 10
	buf := make([]byte, block)
	for off := int64(0); off < size; off += block {
		b := buf[:min(block, size-off)]
		third := 3 * off / size
		switch {
		case shape == Zeros, shape == ZeroFirst && third == 0, shape == ZeroLast && third == 2, shape == ZeroInner && third == 1:
			clear(b)
		case shape == Sparse, shape == Holes && random.IntN(2) == 0:
			continue
		case shape == Repeating:
			copy(b, strings.Repeat(fmt.Sprintf("line %d\n", off), len(b)/8))
		default:
			noise(random, b)
		}
		if _, err := f.WriteAt(b, off); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func noise(random *rand.Rand, b []byte) {
	var word [8]byte
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(word[:], random.Uint64())
		copy(b[i:], word[:])
	}
}
