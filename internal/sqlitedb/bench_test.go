package sqlitedb_test

import (
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

func BenchmarkPin(b *testing.B) {
	path := large(b, 1, true)
	for b.Loop() {
		p, err := sqlitedb.Pin(b.Context(), path, sqlitedb.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Close(); err != nil {
			b.Fatal(err)
		}
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
