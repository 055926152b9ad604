package archive_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lifeboat/archive"
	"lifeboat/manifest"
)

// memory is a store of archives. It is a Source, and makes Objects that check what they are told.
type memory struct {
	t  testing.TB
	mu sync.Mutex
	m  map[manifest.Hash][]byte
}

func newMemory(t testing.TB) *memory { return &memory{t: t, m: map[manifest.Hash][]byte{}} }

func (s *memory) OpenArchive(_ context.Context, h manifest.Hash, off, n int64) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.m[h]
	if !ok {
		return nil, fs.ErrNotExist
	}
	if off > int64(len(b)) {
		return nil, io.ErrUnexpectedEOF
	}
	b = b[off:]
	if n >= 0 && n < int64(len(b)) {
		b = b[:n]
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}
func (s *memory) ArchiveKey(h manifest.Hash) string { return "archives/" + h.String() + ".tar.zst" }
func (s *memory) String() string                    { return "memory" }

type object struct {
	s *memory
	b bytes.Buffer
}

func (o *object) Write(p []byte) (int, error) { return o.b.Write(p) }
func (o *object) Discard()                    {}
func (o *object) Commit(a *manifest.Archive) error {
	if got := manifest.HashOf(o.b.Bytes()); got != a.SHA256 {
		o.s.t.Errorf("archive %s committed with bytes of %s", a.SHA256, got)
	}
	if err := a.Check(); err != nil {
		o.s.t.Errorf("archive %s: %v", a.SHA256, err)
	}
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	o.s.m[a.SHA256] = o.b.Bytes()
	return nil
}

// content returns n bytes that compress about like text.
func content(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = "etaoin shrdlucmfw"[r.IntN(17)]
	}
	return b
}

type packed struct {
	seg   []byte
	place archive.Place
}

// pack writes segments of odd sizes into store and returns where they lie.
func pack(t testing.TB, store *memory, seed uint64, segments int, limit int64) ([]packed, []*manifest.Archive) {
	t.Helper()
	pool, err := archive.NewPool(archive.PoolOptions{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	w := archive.NewWriter(t.Context(), pool, archive.Options{
		Create: func(context.Context) (archive.Object, error) { return &object{s: store}, nil },
		Limit:  limit,
	})
	defer w.Discard()
	r := rand.New(rand.NewPCG(seed, 0))
	var out []packed
	for i := range segments {
		n := 1 + r.IntN(64<<10)
		switch r.IntN(8) {
		case 0:
			n = archive.MaxSegment
		case 1:
			n = 1
		case 2:
			n = 512 * (1 + r.IntN(1000))
		}
		data := content(r, n)
		place, err := w.Add(archive.Segment{
			Name: archive.WholeName(fmt.Sprintf("src/%s file %d", strings.Repeat("d/", i%80), i)),
			Data: data, Chunk: 4096, Sums: archive.AppendSums(nil, data, 4096),
		})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, packed{data, place})
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out, w.Archives()
}

func reader(t testing.TB, sources ...archive.Source) *archive.Reader {
	t.Helper()
	r, err := archive.NewReader(2, sources...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatIsPackedIsRead(t *testing.T) {
	store := newMemory(t)
	segs, archives := pack(t, store, 1, 300, 4<<20)
	if len(archives) < 5 {
		t.Fatalf("only %d archives", len(archives))
	}
	r := reader(t, store)
	byArchive := map[int][]int{}
	for i, p := range segs {
		byArchive[p.place.Archive] = append(byArchive[p.place.Archive], i)
	}
	for n, a := range archives {
		if a.Length > 4<<20+256<<10 {
			t.Errorf("archive %d is %d bytes long", n, a.Length)
		}
		if err := r.Verify(t.Context(), store, a, nil, nil); err != nil {
			t.Error(err)
		}
		// All of it in order, every third segment, and only the last.
		ids := byArchive[n]
		for _, step := range []int{1, 3, len(ids)} {
			var want []int
			var ranges []archive.Range
			for i := step - 1; i < len(ids); i += step {
				want = append(want, ids[i])
				ranges = append(ranges, archive.Range{Off: segs[ids[i]].place.Off, Len: segs[ids[i]].place.Len})
			}
			seen := 0
			err := r.Read(t.Context(), a, ranges, func(i int, data []byte) error {
				if !bytes.Equal(data, segs[want[i]].seg) {
					return fmt.Errorf("segment %d differs", want[i])
				}
				seen++
				return nil
			})
			if err != nil || seen != len(want) {
				t.Errorf("archive %d, every %d: read %d of %d: %v", n, step, seen, len(want), err)
			}
		}
	}
}

func TestSameInputSameArchives(t *testing.T) {
	_, a := pack(t, newMemory(t), 7, 100, 4<<20)
	_, b := pack(t, newMemory(t), 7, 100, 4<<20)
	for i := range a {
		if a[i].SHA256 != b[i].SHA256 {
			t.Fatalf("archive %d is %s and %s", i, a[i].SHA256, b[i].SHA256)
		}
	}
}

func TestOverlappingAndRandomRanges(t *testing.T) {
	store := newMemory(t)
	segs, archives := pack(t, store, 2, 60, 32<<20)
	a := archives[0]
	stream := make([]byte, a.Length)
	for _, s := range segs {
		copy(stream[s.place.Off:], s.seg)
	}
	r := reader(t, store)
	rnd := rand.New(rand.NewPCG(3, 3))
	for range 200 {
		s := segs[rnd.IntN(len(segs))]
		off := s.place.Off + rnd.Int64N(s.place.Len)
		n := 1 + rnd.Int64N(s.place.Off+s.place.Len-off)
		ranges := []archive.Range{{Off: off, Len: n}, {Off: off, Len: n}, {Off: off + n/2, Len: n - n/2}}
		err := r.Read(t.Context(), a, ranges, func(i int, data []byte) error {
			if !bytes.Equal(data, stream[ranges[i].Off:][:ranges[i].Len]) {
				return fmt.Errorf("range %+v differs", ranges[i])
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Every archive is an ordinary .tar.zst: the programs that everybody has agree with it.
func TestStandardToolsAgree(t *testing.T) {
	for _, tool := range []string{"zstd", "tar", "sha256sum", "cat"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("this test needs the program %s: %v", tool, err)
		}
	}
	store := newMemory(t)
	segs, archives := pack(t, store, 4, 120, 8<<20)
	dir := t.TempDir()
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	members := 0
	for i, a := range archives {
		name := a.SHA256.String() + ".tar.zst"
		if err := os.WriteFile(filepath.Join(dir, name), store.m[a.SHA256], 0o600); err != nil {
			t.Fatal(err)
		}
		run("zstd", "-t", "-q", name)
		if out := run("sha256sum", name); !strings.HasPrefix(out, a.SHA256.String()) {
			t.Errorf("sha256sum says %q of %s", out, name)
		}
		list := strings.Split(strings.TrimSpace(run("tar", "--zstd", "-tf", name)), "\n")
		if list[len(list)-1] != ".lifeboat/chunks" {
			t.Errorf("archive %d ends with %q, not the chunk index", i, list[len(list)-1])
		}
		members += len(list) - 1
		if out := run("tar", "--zstd", "-xf", name); out != "" {
			t.Errorf("tar says %q", out)
		}
	}
	if members != len(segs) {
		t.Errorf("tar lists %d members, %d were packed", members, len(segs))
	}
	for i, s := range segs {
		path := fmt.Sprintf("src/%s file %d", strings.Repeat("d/", i%80), i)
		got, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, s.seg) {
			t.Errorf("tar extracts other bytes for %q", path)
		}
	}
}

// Every byte of an archive matters: one that is flipped is noticed.
func TestVerifyFindsEveryFlippedByte(t *testing.T) {
	store := newMemory(t)
	_, archives := pack(t, store, 5, 3, 32<<20)
	a := archives[0]
	whole := store.m[a.SHA256]
	r := reader(t, store)
	step := max(1, len(whole)/500)
	for i := 0; i < len(whole); i += step {
		bad := bytes.Clone(whole)
		bad[i] ^= 1
		store.m[a.SHA256] = bad
		var damage *archive.DamageError
		if err := r.Verify(t.Context(), store, a, nil, nil); !errors.As(err, &damage) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	for _, n := range []int{0, 1, len(whole) / 2, len(whole) - 1} {
		store.m[a.SHA256] = whole[:n]
		var damage *archive.DamageError
		if err := r.Verify(t.Context(), store, a, nil, nil); !errors.As(err, &damage) {
			t.Errorf("cut to %d: %v", n, err)
		}
	}
	store.m[a.SHA256] = append(bytes.Clone(whole), 0)
	var damage *archive.DamageError
	if err := r.Verify(t.Context(), store, a, nil, nil); !errors.As(err, &damage) {
		t.Errorf("a byte appended: %v", err)
	}
	store.m[a.SHA256] = whole
	if err := r.Verify(t.Context(), store, a, nil, nil); err != nil {
		t.Error(err)
	}
}

// Where one store is damaged, cut short or empty, the next one serves, without a byte twice or out of order.
func TestReadGoesOnFromTheNextSource(t *testing.T) {
	good, bad, empty := newMemory(t), newMemory(t), newMemory(t)
	segs, archives := pack(t, good, 6, 40, 32<<20)
	a := archives[0]
	damaged := bytes.Clone(good.m[a.SHA256])
	damaged[len(damaged)/2] ^= 0x80
	for _, b := range [][]byte{damaged, good.m[a.SHA256][:len(damaged)/2]} {
		bad.m[a.SHA256] = b
		r := reader(t, empty, bad, good)
		var ranges []archive.Range
		for _, s := range segs {
			ranges = append(ranges, archive.Range{Off: s.place.Off, Len: s.place.Len})
		}
		next := 0
		err := r.Read(t.Context(), a, ranges, func(i int, data []byte) error {
			if i != next || !bytes.Equal(data, segs[i].seg) {
				return fmt.Errorf("segment %d, want %d, or it differs", i, next)
			}
			next++
			return nil
		})
		if err != nil || next != len(segs) {
			t.Errorf("read %d of %d: %v", next, len(segs), err)
		}
		if err := reader(t, empty, bad).Read(t.Context(), a, ranges, func(int, []byte) error { return nil }); err == nil {
			t.Error("reading from damaged and empty stores succeeded")
		}
	}
}

func TestReadRefusesWhatIsOutside(t *testing.T) {
	store := newMemory(t)
	_, archives := pack(t, store, 8, 3, 32<<20)
	a := archives[0]
	r := reader(t, store)
	for _, g := range []archive.Range{{Off: -1, Len: 1}, {Off: a.Length, Len: 1}, {Off: 0, Len: a.Length + 1}, {Off: 1 << 62, Len: 1 << 62}} {
		if err := r.Read(t.Context(), a, []archive.Range{g}, func(int, []byte) error { return nil }); !errors.Is(err, manifest.ErrInvalid) {
			t.Errorf("range %+v: %v", g, err)
		}
	}
}

// A frame that decodes to more than it may is refused before memory is taken for it.
func TestBombIsRefused(t *testing.T) {
	store := newMemory(t)
	_, archives := pack(t, store, 9, 2, 32<<20)
	var bomb bytes.Buffer
	cmd := exec.Command("zstd", "-q", "-19", "-c")
	cmd.Stdin = io.LimitReader(zeros{}, 64<<20)
	cmd.Stdout = &bomb
	if err := cmd.Run(); err != nil {
		t.Fatalf("this test needs the program zstd: %v", err)
	}
	a := *archives[0]
	a.SHA256 = sha256.Sum256(bomb.Bytes())
	a.Size, a.Length, a.Frames = int64(bomb.Len()), 1000, []int64{int64(bomb.Len())}
	a.Index, a.Data = manifest.Index{}, 0
	store.m[a.SHA256] = bomb.Bytes()
	var damage *archive.DamageError
	if _, err := reader(t, store).ReadAll(t.Context(), &a, 0, 1000); !errors.As(err, &damage) {
		t.Errorf("a bomb: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// failing fails at one step of one object.
type failing struct {
	object
	write, commit bool
}

var errDisk = errors.New("no space left")

func (f *failing) Write(p []byte) (int, error) {
	if f.write {
		return 0, errDisk
	}
	return f.object.Write(p)
}

func (f *failing) Commit(a *manifest.Archive) error {
	if f.commit {
		return errDisk
	}
	return f.object.Commit(a)
}

func TestFailuresAreReportedAndEndEverything(t *testing.T) {
	pool, err := archive.NewPool(archive.PoolOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, create := range map[string]func(context.Context) (archive.Object, error){
		"create": func(context.Context) (archive.Object, error) { return nil, errDisk },
		"write": func(context.Context) (archive.Object, error) {
			return &failing{object{s: newMemory(t)}, true, false}, nil
		},
		"commit": func(context.Context) (archive.Object, error) {
			return &failing{object{s: newMemory(t)}, false, true}, nil
		},
	} {
		w := archive.NewWriter(t.Context(), pool, archive.Options{Create: create, Limit: 1 << 20})
		data := content(rand.New(rand.NewPCG(1, 1)), 200<<10)
		var err error
		for i := 0; i < 200 && err == nil; i++ {
			_, err = w.Add(archive.Segment{Name: "src/x", Data: data, Chunk: 1 << 20, Sums: archive.AppendSums(nil, data, 1<<20)})
		}
		if closeErr := w.Close(); err == nil {
			err = closeErr
		}
		if !errors.Is(err, errDisk) {
			t.Errorf("%s fails: %v", name, err)
		}
		w.Discard()
	}
	// The pool has all its frames back: it can still pack.
	store := newMemory(t)
	w := archive.NewWriter(t.Context(), pool, archive.Options{Create: func(context.Context) (archive.Object, error) { return &object{s: store}, nil }})
	for range 64 {
		data := content(rand.New(rand.NewPCG(1, 1)), archive.MaxSegment)
		if _, err := w.Add(archive.Segment{Name: "src/y", Data: data, Chunk: 1 << 20, Sums: archive.AppendSums(nil, data, 1<<20)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestCancelledWriterStopsAndStoresNothing(t *testing.T) {
	pool, err := archive.NewPool(archive.PoolOptions{})
	if err != nil {
		t.Fatal(err)
	}
	store := newMemory(t)
	ctx, cancel := context.WithCancel(t.Context())
	w := archive.NewWriter(ctx, pool, archive.Options{Create: func(context.Context) (archive.Object, error) { return &object{s: store}, nil }})
	data := content(rand.New(rand.NewPCG(1, 1)), 1000)
	if _, err := w.Add(archive.Segment{Name: "src/x", Data: data, Chunk: 4096, Sums: archive.AppendSums(nil, data, 4096)}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := w.Close(); !errors.Is(err, context.Canceled) {
		t.Errorf("Close = %v", err)
	}
	if len(store.m) != 0 {
		t.Errorf("%d archives were stored", len(store.m))
	}
}

func TestChunkIndex(t *testing.T) {
	store := newMemory(t)
	segs, archives := pack(t, store, 10, 50, 2<<20)
	r := reader(t, store)
	n := 0
	for i, a := range archives {
		b, err := r.ReadAll(t.Context(), a, a.Index.Off, a.Index.Len)
		if err != nil {
			t.Fatal(err)
		}
		runs, err := archive.ParseIndex(b, a.Length)
		if err != nil {
			t.Fatal(err)
		}
		for _, run := range runs {
			s := segs[n]
			if s.place != (archive.Place{Archive: i, Off: run.Off, Len: run.Len}) {
				t.Fatalf("record %+v, want %+v", run, s.place)
			}
			for j, sum := range archive.AppendSums(nil, s.seg, int(run.Chunk)) {
				if run.Sums[j] != sum {
					t.Errorf("segment %d, chunk %d: wrong sum", n, j)
				}
			}
			n++
		}
		for cut := range len(b) {
			if runs, err := archive.ParseIndex(b[:cut], a.Length); err == nil && len(runs) == 0 && cut > 0 {
				t.Fatalf("cut to %d bytes: accepted as empty", cut)
			}
		}
	}
	if n != len(segs) {
		t.Errorf("%d records for %d segments", n, len(segs))
	}
}

func FuzzParseIndex(f *testing.F) {
	f.Add([]byte{}, int64(0))
	f.Add(make([]byte, 48), int64(1000))
	f.Fuzz(func(t *testing.T, b []byte, length int64) {
		runs, err := archive.ParseIndex(b, length)
		if err != nil {
			return
		}
		end := int64(0)
		for _, r := range runs {
			if r.Off < end || r.Off+r.Len > length {
				t.Errorf("record outside: %+v", r)
			}
			end = r.Off + r.Len
		}
	})
}

// Members of a length, packed, encoded and hashed.
func BenchmarkWriter(b *testing.B) {
	for _, bench := range []struct {
		name         string
		length, many int
	}{{"small", 6 << 10, 4096}, {"large", archive.MaxSegment, 64}} {
		b.Run(bench.name, func(b *testing.B) {
			data := content(rand.New(rand.NewPCG(1, 2)), bench.length)
			sums := archive.AppendSums(nil, data, 4096)
			pool, err := archive.NewPool(archive.PoolOptions{})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(bench.length * bench.many))
			b.ReportAllocs()
			for b.Loop() {
				w := archive.NewWriter(b.Context(), pool, archive.Options{
					Create: func(context.Context) (archive.Object, error) { return nowhere{}, nil },
				})
				for i := range bench.many {
					_, err := w.Add(archive.Segment{Name: archive.WholeName(fmt.Sprintf("src/file %d", i)), Data: data, Chunk: 4096, Sums: sums})
					if err != nil {
						b.Fatal(err)
					}
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// nowhere is an object that is not kept.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error)    { return len(p), nil }
func (nowhere) Commit(*manifest.Archive) error { return nil }
func (nowhere) Discard()                       {}
