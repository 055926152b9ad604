package main

import (
	"bytes"
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lifeboat/internal/zst"
)

// A sight is the content of a tree: by path, relative to its root, the sums of the pages of its databases and of the blocks of its files.
type sight map[string][][sha256.Size]byte

const (
	pageSize  = 4 << 10
	blockSize = 64 << 10
)

// An amount is of bytes, as they are and compressed as an archive is.
type amount struct{ raw, packed int64 }

// look returns what is in a tree now, and how much of it was not at the same place before.
func look(dir string, before sight) (sight, amount, error) {
	now := sight{}
	enc, err := zst.NewEncoder(zst.Fastest, 1)
	if err != nil {
		return nil, amount{}, err
	}
	var changed amount
	var frame, out []byte
	pack := func(least int) {
		if len(frame) > least {
			out = enc.Encode(out[:0], frame)
			changed.packed += int64(len(out))
			frame = frame[:0]
		}
	}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if path, err = filepath.Rel(dir, path); err != nil {
			return err
		}
		size := blockSize
		if strings.HasSuffix(path, ".sqlite") {
			size = pageSize
		}
		for i := 0; i*size < len(data); i++ {
			b := data[i*size : min(len(data), (i+1)*size)]
			sum := sha256.Sum256(b)
			now[path] = append(now[path], sum)
			if was := before[path]; i < len(was) && was[i] == sum || len(bytes.Trim(b, "\x00")) == 0 {
				continue
			}
			changed.raw += int64(len(b))
			frame = append(frame, b...)
			pack(1<<20 - blockSize)
		}
		return nil
	})
	pack(0)
	return now, changed, err
}
