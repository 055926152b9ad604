package archive

import (
	"archive/tar"
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	blockSize = 512                // of tar; a stream ends with two blocks of zeros
	indexName = ".lifeboat/chunks" // the last member
)

// epoch is the time of every member. 1980 is the earliest that all archive formats can express, and what
// reproducible archives use; GNU tar warns about earlier ones.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// WholeName names the member that is a whole file.
func WholeName(path string) string { return plain(path) }

// PartName names the member that holds some of a file, beginning with the byte at off.
func PartName(path string, off int64) string {
	return fmt.Sprintf(".lifeboat/parts/%s/%016d", plain(path), off)
}

// MapName names the member that holds the map of a file from off on.
func MapName(path string, off int64) string {
	return fmt.Sprintf(".lifeboat/maps/%s/%016d", plain(path), off)
}

// PieceName names the member that holds the piece that begins with a key.
func PieceName(first string) string { return ".lifeboat/pieces/" + plain(first) }

// plain returns path with the bytes that are not UTF-8 as %XX, since PAX records hold nothing else.
func plain(path string) string {
	if utf8.ValidString(path) {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); {
		r, n := utf8.DecodeRuneInString(path[i:])
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, "%%%02X", path[i])
		} else {
			b.WriteString(path[i : i+n])
		}
		i += n
	}
	return b.String()
}

// appendHeader appends the tar header of a member: one block of ustar, or three and more where the name needs a
// PAX record. It is what package archive/tar writes.
func appendHeader(b []byte, name string, size int64) ([]byte, error) {
	if len(name) <= nameField.n && size < 1<<(3*(sizeField.n-1)) && fitsUstar(name) {
		return appendUstar(b, name, size), nil
	}
	w := bytes.NewBuffer(b)
	err := tar.NewWriter(w).WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: epoch,
	})
	if err != nil {
		return nil, fmt.Errorf("tar header of %q: %w", name, err)
	}
	return w.Bytes(), nil
}

// A headerField lies in a block of ustar.
type headerField struct{ off, n int }

var (
	nameField = headerField{0, 100}
	sizeField = headerField{124, 12}
	sumField  = headerField{148, 8}
)

func (f headerField) in(block []byte) []byte { return block[f.off : f.off+f.n] }

// fitsUstar reports whether a name is plain: ASCII without NUL, and not that of a directory.
func fitsUstar(name string) bool {
	for i := range len(name) {
		if name[i] == 0 || name[i] >= utf8.RuneSelf {
			return false
		}
	}
	return name != "" && name[len(name)-1] != '/'
}

// appendUstar appends a header that is one block. Thousands of small files make as many.
func appendUstar(b []byte, name string, size int64) []byte {
	start := len(b)
	b = append(b, emptyMember()...)
	block := b[start:]
	copy(nameField.in(block), name)
	octal(sizeField.in(block)[:sizeField.n-1], size)
	sum := int64(len(sumField.in(block))) * ' ' // what stands in its own field while it is computed
	for i, c := range block {
		if i < sumField.off || i >= sumField.off+sumField.n {
			sum += int64(c)
		}
	}
	octal(sumField.in(block)[:6], sum)
	return b
}

// octal writes n into a field, with leading zeros.
func octal(field []byte, n int64) {
	for i := len(field) - 1; i >= 0; i-- {
		field[i] = '0' + byte(n&7)
		n >>= 3
	}
}

// emptyMember returns the header of a member that has neither name nor size, without its checksum.
var emptyMember = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "x", Mode: 0o644, ModTime: epoch}); err != nil {
		panic(err) // which a constant cannot make it
	}
	block := b.Bytes()
	clear(nameField.in(block))
	return block
})

// padding returns how many zeros follow n bytes of data in a tar stream.
func padding(n int64) int64 { return -n & (blockSize - 1) }
