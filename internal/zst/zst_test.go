package zst_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"lifeboat/internal/zst"
)

var levels = map[string]zst.Level{"fastest": zst.Fastest, "default": zst.Default, "better": zst.Better, "off": zst.Off}

// samples are contents of many lengths, around every one at which a frame is written in another way.
func samples() (list [][]byte) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 255, 256, 257, 65535, 65536, 65791, 65792, 128<<10 - 1, 128 << 10, 128<<10 + 1, 1 << 20} {
		text, noise := make([]byte, n), make([]byte, n)
		for i := range n {
			text[i] = "to be or not to be, "[i%20] + byte(i>>9&1)
			noise[i] = byte(random.Uint32())
		}
		list = append(list, text, noise)
	}
	return list
}

// What any level makes is read by the decoder and by zstd itself, says its size, and fails its checksum when a bit is another.
func TestLevels(t *testing.T) {
	dec, err := zst.NewDecoder(1)
	if err != nil {
		t.Fatal(err)
	}
	for name, level := range levels {
		enc, err := zst.NewEncoder(level, 1)
		if err != nil {
			t.Fatal(err)
		}
		var all, frames []byte
		for _, want := range samples() {
			frame := enc.Encode([]byte("before"), want)
			if !bytes.HasPrefix(frame, []byte("before")) {
				t.Fatalf("%s: %d bytes: Encode does not append", name, len(want))
			}
			frame = frame[len("before"):]
			got, err := dec.Decode(make([]byte, 0, len(want)), frame)
			if len(want) >= 256 && err == nil { // shorter ones need not say their size
				got, err = dec.DecodeBounded(frame, len(want))
			}
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes: decoded to %d bytes, %v", name, len(want), len(got), err)
			}
			if most := len(want) + 64<<10; len(frame) > most {
				t.Errorf("%s: %d bytes became %d, more than the format allows a frame", name, len(want), len(frame))
			}
			all, frames = append(all, want...), append(frames, frame...)
		}
		zstd := exec.Command("zstd", "-d", "-c", "--memory=1MiB")
		zstd.Stdin = bytes.NewReader(frames)
		if got, err := zstd.Output(); err != nil || !bytes.Equal(got, all) {
			t.Errorf("%s: zstd decodes the frames to %d bytes, not %d: %v", name, len(got), len(all), err)
		}
	}
}

func TestRawIsGuarded(t *testing.T) {
	enc, err := zst.NewEncoder(zst.Off, 1)
	if err != nil {
		t.Fatal(err)
	}
	dec, err := zst.NewDecoder(1)
	if err != nil {
		t.Fatal(err)
	}
	want := []byte("not compressed, but not unguarded")
	frame := enc.Encode(nil, want)
	for i := range frame {
		for bit := range 8 {
			bad := bytes.Clone(frame)
			bad[i] ^= 1 << bit
			got, err := dec.DecodeBounded(bad, len(want))
			if err == nil && bytes.Equal(got, want) {
				continue // a bit that nobody reads
			}
			if !errors.Is(err, zst.ErrCorrupt) {
				t.Errorf("bit %d of byte %d: %q, %v", bit, i, got, err)
			}
		}
		if _, err := dec.DecodeBounded(frame[:i], len(want)); !errors.Is(err, zst.ErrCorrupt) {
			t.Errorf("cut after %d bytes: %v", i, err)
		}
	}
}

// benchFrames returns contents of 1 MiB to measure with: of the files in the directory that LIFEBOAT_BENCH_DIR names, all of them if they are few, and
// always vectors of floating-point numbers, and noise.
func benchFrames(b *testing.B) map[string][][]byte {
	const frame = 1 << 20
	random := rand.New(rand.NewPCG(1, 2))
	noise, vectors := make([]byte, 0, frame), make([]byte, 0, frame)
	for len(noise) < frame {
		v := random.Uint64()
		bits := math.Float32bits(float32(random.NormFloat64()) / 20)
		for i := range 4 {
			noise = append(noise, byte(v>>(8*i)))
			vectors = append(vectors, byte(bits>>(8*i)))
		}
	}
	list := map[string][][]byte{"noise": {noise}, "vectors": {vectors}}
	dir := os.Getenv("LIFEBOAT_BENCH_DIR")
	if dir == "" {
		return list
	}
	var files []io.Reader
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, &lazyFile{path: path})
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	var own [][]byte
	for all, i := io.MultiReader(files...), 0; ; i++ {
		buf := make([]byte, frame)
		n, err := io.ReadFull(all, buf)
		if i%8 == 0 || err != nil {
			own = append(own, buf[:n])
		}
		if err != nil {
			break
		}
	}
	list["files"] = own
	return list
}

// A lazyFile is opened when it is read, and closed at its end.
type lazyFile struct {
	path string
	f    *os.File
}

func (l *lazyFile) Read(p []byte) (n int, err error) {
	if l.f == nil {
		if l.f, err = os.Open(l.path); err != nil {
			return 0, err
		}
	}
	if n, err = l.f.Read(p); err != nil {
		l.f.Close()
	}
	return n, err
}

func BenchmarkEncode(b *testing.B) {
	frames := benchFrames(b)
	for _, what := range slices.Sorted(maps.Keys(frames)) {
		frames := frames[what]
		for _, name := range []string{"off", "fastest", "default", "better"} {
			b.Run(fmt.Sprintf("%s/%s", what, name), func(b *testing.B) {
				enc, err := zst.NewEncoder(levels[name], 1)
				if err != nil {
					b.Fatal(err)
				}
				var raw, stored int64
				var dst []byte
				b.ReportAllocs()
				for b.Loop() {
					raw, stored = 0, 0
					for _, f := range frames {
						dst = enc.Encode(dst[:0], f)
						raw += int64(len(f))
						stored += int64(len(dst))
					}
				}
				b.SetBytes(raw)
				b.ReportMetric(100*float64(stored)/float64(raw), "%stored")
			})
		}
	}
}
