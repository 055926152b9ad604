package sqlitedb_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/sqlitedb"
)

// large makes a database of about the given number of MiB, in WAL mode, with an index.
func large(b *testing.B, mib int, open bool) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "app.db")
	a := start(b, path, wal, "PRAGMA synchronous=0", table, "CREATE INDEX v ON t(v)",
		fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<%d) INSERT INTO t SELECT i, hex(randomblob(90)) FROM n", mib*2400))
	if open {
		a.do("PRAGMA wal_checkpoint(TRUNCATE)")
		return path
	}
	a.close()
	then := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, then, then); err != nil {
		b.Fatal(err)
	}
	return path
}

// Stream against a plain read of the same file: "ratio" says how many times longer it takes.
func BenchmarkStream(b *testing.B) {
	for name, open := range map[string]bool{"live": true, "cold": false} {
		b.Run(name, func(b *testing.B) {
			path := large(b, 100, open)
			p := pin(b, path)
			b.SetBytes(p.Size())
			began := time.Now()
			for b.Loop() {
				if err := p.Stream(b.Context(), func(uint32, []byte) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
			stream := time.Since(began) / time.Duration(b.N)
			b.StopTimer()
			p.Close() // no other descriptor may be opened before
			began = time.Now()
			for range b.N {
				plain(b, path)
			}
			b.ReportMetric(float64(stream)/float64(time.Since(began)/time.Duration(b.N)), "ratio")
		})
	}
}

func plain(b *testing.B, path string) {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	buffer := make([]byte, 1<<20)
	for {
		if _, err := f.Read(buffer); err == io.EOF {
			return
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

// What a pin costs, and what a second connection does besides.
func BenchmarkPin(b *testing.B) {
	for name, open := range map[string]bool{"live": true, "cold": false} {
		path := large(b, 1, open)
		for name, beside := range map[string]int64{name: 0, name + ", beside": 1} {
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					p, err := sqlitedb.Pin(b.Context(), path, sqlitedb.Options{Beside: beside})
					if err != nil {
						b.Fatal(err)
					}
					if p.Beside(b.Context()) != (beside > 0) {
						b.Fatal("not as it was wanted")
					}
					if err := p.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// Stream and QuickCheck, one after the other and both at once.
func BenchmarkStreamAndCheck(b *testing.B) {
	path := large(b, 100, true)
	for name, beside := range map[string]int64{"after": 0, "beside": 1} {
		b.Run(name, func(b *testing.B) {
			p, err := sqlitedb.Pin(b.Context(), path, sqlitedb.Options{Beside: beside})
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			b.SetBytes(p.Size())
			b.ReportAllocs()
			for b.Loop() {
				if result, detail, _, err := readAndCheck(b.Context(), p, io.Discard); err != nil || result != sqlitedb.OK {
					b.Fatal(result, detail, err)
				}
			}
		})
	}
}

func BenchmarkQuickCheck(b *testing.B) {
	p := pin(b, large(b, 100, true))
	b.SetBytes(p.Size())
	before := resident(b)
	for b.Loop() {
		if result, detail, err := p.QuickCheck(b.Context()); err != nil || result != sqlitedb.OK {
			b.Fatal(result, detail, err)
		}
	}
	b.ReportMetric(float64(resident(b)-before)/(1<<20), "MiB-resident")
}

func BenchmarkReadFacts(b *testing.B) {
	p := pin(b, large(b, 100, true))
	b.SetBytes(p.Size())
	for b.Loop() {
		if _, err := p.ReadFacts(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFullCheck(b *testing.B) {
	path := large(b, 100, false)
	for b.Loop() {
		if result, detail, err := sqlitedb.Check(b.Context(), path, sqlitedb.Full); err != nil || result != sqlitedb.OK {
			b.Fatal(result, detail, err)
		}
	}
}

// resident returns how much memory the process has ever used at once, which is SQLite's too: it has its own
// allocator, which Go's statistics don't see. 0 where the system does not tell.
func resident(b *testing.B) (bytes int64) {
	b.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &bytes); n == 1 {
			return bytes << 10
		}
	}
	return 0
}

// How long the longest commit of a writer takes while a database in a rollback mode of 300 MB is captured: under one pin, as a copy, and as a
// copy in slices. "ms" is for the whole capture, of which the sums of the pages stand for what else is done with them.
func BenchmarkWriterWaits(b *testing.B) {
	for _, way := range []struct {
		name     string
		detach   bool
		maxBlock time.Duration
	}{{"pinned", false, 0}, {"detached", true, 0}, {"slices", true, 50 * time.Millisecond}} {
		b.Run(way.name, func(b *testing.B) {
			path := build(b, append([]string{"PRAGMA synchronous=0"}, append(bank("DELETE"), "CREATE TABLE filler(v)",
				"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<3000) INSERT INTO filler SELECT randomblob(100000) FROM n")...)...)
			stop := tellersWith(b, path, []string{"1000", "10ms"})
			var slices, unbroken int
			var blocked, took time.Duration
			for b.Loop() {
				began := time.Now()
				p, err := sqlitedb.Pin(b.Context(), path, sqlitedb.Options{Scratch: b.TempDir(), MaxBlock: way.maxBlock})
				if err != nil {
					b.Fatal(err)
				}
				if way.detach {
					if err := p.Detach(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				sum := sha256.New()
				if err := p.Stream(b.Context(), func(_ uint32, page []byte) error { sum.Write(page); return nil }); err != nil {
					b.Fatal(err)
				}
				if _, _, err := p.QuickCheck(b.Context()); err != nil {
					b.Fatal(err)
				}
				if _, err := p.ReadFacts(b.Context()); err != nil {
					b.Fatal(err)
				}
				slices, blocked = slices+p.Slices(), max(blocked, p.Blocked())
				if p.Unbroken() {
					unbroken++
				}
				p.Close()
				took += time.Since(began)
			}
			r := stop()[0]
			b.ReportMetric(float64(took.Milliseconds())/float64(b.N), "ms")
			b.ReportMetric(float64(blocked.Milliseconds()), "ms-blocked")
			b.ReportMetric(float64(r.Longest.Milliseconds()), "ms-longest-transfer")
			b.ReportMetric(float64(slices)/float64(b.N), "slices")
			b.ReportMetric(float64(unbroken), "unbroken")
			b.ReportMetric(float64(len(r.Errors)), "errors")
		})
	}
}
