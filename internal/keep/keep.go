// Package keep remembers small things that were fetched over a network and do not change, in files of a directory, so that they are not
// fetched again. Nothing but time is lost with it.
package keep

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"lifeboat/internal/durable"
)

const (
	maxThing = 1 << 20        // bytes of one thing that is kept
	maxAll   = 64 << 20       // bytes of all; when there are more, the oldest go
	tmpAge   = 24 * time.Hour // after which an unfinished file was left by a process that was killed
	tmp      = ".tmp-"
)

// A Dir keeps things in a directory, which is made when there is something to keep. Several processes may use one, and several goroutines. What
// cannot be read or written is not kept; no call fails.
type Dir struct {
	path string

	mu      sync.Mutex
	written bool
}

// In returns what is kept in a directory.
func In(path string) *Dir { return &Dir{path: path} }

// Get returns what was put under a name, or nil. What was changed since is nothing.
func (d *Dir) Get(name string) []byte {
	f, err := os.Open(d.file(name))
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() > maxThing+sha256.Size {
		return nil
	}
	data := make([]byte, info.Size())
	if n, err := f.ReadAt(data, 0); err != nil && n < len(data) || len(data) < sha256.Size {
		return nil
	}
	sum, data := data[:sha256.Size], data[sha256.Size:]
	if got := digest(name, data); !bytes.Equal(got[:], sum) {
		return nil
	}
	return data
}

// Put keeps something under a name. The first time, it makes room.
func (d *Dir) Put(name string, data []byte) {
	if len(data) > maxThing || os.MkdirAll(d.path, 0o700) != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.written {
		d.written = true
		d.makeRoom()
	}
	f, err := os.CreateTemp(d.path, tmp+"*")
	if err != nil {
		return
	}
	sum := digest(name, data)
	_, err = f.Write(append(sum[:], data...))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = durable.Replace(f.Name(), d.file(name)) // no need to be durable: what a power cut leaves is verified
	}
	if err != nil {
		os.Remove(f.Name())
	}
}

// file returns where something lies. A name may be anything.
func (d *Dir) file(name string) string {
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(d.path, hex.EncodeToString(sum[:]))
}

// digest covers the name too, so that one thing is never taken for another.
func digest(name string, data []byte) [sha256.Size]byte {
	return sha256.Sum256(append([]byte(name+"\x00"), data...))
}

// makeRoom removes the oldest files when there is too much, until a quarter is free, and what killed processes left.
func (d *Dir) makeRoom() {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return
	}
	var files []fs.FileInfo
	var total int64
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case err != nil || !info.Mode().IsRegular():
		case strings.HasPrefix(e.Name(), tmp):
			if time.Since(info.ModTime()) > tmpAge {
				os.Remove(filepath.Join(d.path, e.Name()))
			}
		default:
			files = append(files, info)
			total += info.Size()
		}
	}
	if total <= maxAll {
		return
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), strings.Compare(a.Name(), b.Name()))
	})
	for _, f := range files {
		if total <= maxAll*3/4 {
			return
		}
		if os.Remove(filepath.Join(d.path, f.Name())) == nil {
			total -= f.Size()
		}
	}
}
