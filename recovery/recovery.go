// Package recovery holds what lies in every store so that a snapshot can be rebuilt without lifeboat: a page for the
// worst day, and two independent programs, one for a POSIX shell with jq and zstd, one for Python and zstd.
//
// Both programs were written from docs/format.md alone and share nothing with the rest of lifeboat. They take the same
// arguments, check every digest, rebuild whatever is whole, name what is not, and give the same exit codes; the comment
// at the head of each is its manual. Copies of them in a bucket are as trustworthy as the bucket: a program of lifeboat
// compares them with [Files], and never runs them.
package recovery

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"slices"
)

//go:embed RECOVER.md
var page string

//go:embed recover.sh
var shell string

//go:embed recover.py
var python string

// File is one object that is written into every store.
type File struct {
	// Name is the key of the object: it lies at the top of the store.
	Name string
	// Data is the content. It is the caller's to keep and to change.
	Data []byte
}

// Files returns RECOVER.md, recover.sh and recover.py, in this order. The content depends on the version of lifeboat
// alone, so writing the files again is harmless.
func Files() []File {
	return []File{
		{Name: "RECOVER.md", Data: []byte(page)},
		{Name: "recover.sh", Data: []byte(shell)},
		{Name: "recover.py", Data: []byte(python)},
	}
}

// released has the SHA-256 of each file as earlier releases wrote it into stores. When a file changes after a release, what it was goes
// here, so that a store which that release made still counts as whole.
var released = map[string][]string{
	"RECOVER.md": {},
	"recover.sh": {},
	"recover.py": {},
}

// Released reports whether a file of this name is one that an earlier release wrote.
func Released(name string, sum [sha256.Size]byte) bool {
	return slices.Contains(released[name], hex.EncodeToString(sum[:]))
}
