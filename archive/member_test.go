package archive

import (
	"archive/tar"
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// Headers are those of package archive/tar, byte for byte, whatever the name.
func TestHeader(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{"x", "a/", "/", "a/b", " ", "é", "a\x7f", "a\x01b", "nul\x00", ".lifeboat/chunks", PartName("db/app.sqlite", 1<<40)}
	for n := 1; n < 300; n++ {
		names = append(names, strings.Repeat("n", n), strings.Repeat("d/", n)+"f", strings.Repeat("n", n)+"/é", strings.Repeat("n", n)+"/")
	}
	for range 2000 {
		b := make([]byte, 1+random.IntN(120))
		for i := range b {
			b[i] = byte(1 + random.IntN(127))
		}
		names = append(names, string(b))
	}
	var got []byte
	for _, name := range names {
		for _, size := range []int64{1, 511, 1 << 20, 16 << 20, 1<<33 - 1, 1 << 33} {
			var want bytes.Buffer
			wantErr := tar.NewWriter(&want).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: epoch})
			var err error
			got, err = appendHeader(append(got[:0], "before"...), name, size)
			if (err != nil) != (wantErr != nil) {
				t.Fatalf("%q, %d bytes: %v; archive/tar: %v", name, size, err, wantErr)
			}
			if err == nil && !bytes.Equal(got, append([]byte("before"), want.Bytes()...)) {
				t.Fatalf("%q, %d bytes:\n%q\narchive/tar:\n%q", name, size, got, want.Bytes())
			}
		}
	}
}

func BenchmarkHeader(b *testing.B) {
	b.ReportAllocs()
	var head []byte
	for b.Loop() {
		var err error
		if head, err = appendHeader(head[:0], "files/inbox/2026/11/30/message-000123.json", 6144); err != nil {
			b.Fatal(err)
		}
	}
}
