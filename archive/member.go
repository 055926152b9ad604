package archive

import (
	"archive/tar"
	"bytes"
	"fmt"
	"strings"
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

// header returns the tar header of a member: one block of ustar, or three and more where the name needs a
// PAX record.
func header(name string, size int64) ([]byte, error) {
	var b bytes.Buffer
	err := tar.NewWriter(&b).WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: epoch,
	})
	if err != nil {
		return nil, fmt.Errorf("tar header of %q: %w", name, err)
	}
	return b.Bytes(), nil
}

// padding returns how many zeros follow n bytes of data in a tar stream.
func padding(n int64) int64 { return -n & (blockSize - 1) }
