package data

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
)

// Sizes of hnswlib's records, as saved with M = 16.
const (
	linksPerLevel = 16
	linksAtBase   = 2 * linksPerLevel
	linkBytes     = 4 + 4*linksAtBase
	elementBytes  = linkBytes + 4*dimension + 8
)

// hnsw makes the directory of a persisted index with n vectors: what hnswlib saves, and the pickled table of
// names that Chroma keeps with it.
func hnsw(dir string, n int, seed uint64) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	rnd := random(partIndex, seed)
	le := binary.LittleEndian
	files := []struct {
		name  string
		n     int
		write func(b []byte, i int) []byte
	}{
		// The base level: how many neighbours, room for all of them, the vector, its label.
		{"data_level0.bin", n, func(b []byte, i int) []byte {
			neighbours := 8 + rnd.IntN(linksAtBase-8+1)
			b = le.AppendUint32(b, uint32(neighbours))
			for j := range linksAtBase {
				link := 0
				if j < neighbours {
					link = rnd.IntN(n)
				}
				b = le.AppendUint32(b, uint32(link))
			}
			b = appendVector(b, rnd)
			return le.AppendUint64(b, uint64(i))
		}},
		// The upper levels: one element in M has one.
		{"link_lists.bin", n, func(b []byte, i int) []byte {
			if rnd.IntN(linksPerLevel) != 0 {
				return le.AppendUint32(b, 0)
			}
			b = le.AppendUint32(b, 4+4*linksPerLevel)
			b = le.AppendUint32(b, linksPerLevel)
			for range linksPerLevel {
				b = le.AppendUint32(b, uint32(rnd.IntN(n)))
			}
			return b
		}},
		// The norms, all about 1.
		{"length.bin", n, func(b []byte, i int) []byte {
			return le.AppendUint32(b, math.Float32bits(1+float32(rnd.IntN(9))*0x1p-23))
		}},
		{"header.bin", 1, func(b []byte, i int) []byte {
			b = le.AppendUint32(b, 1) // version
			for _, v := range []int{0, n, n, elementBytes, linkBytes + 4*dimension, linkBytes} {
				b = le.AppendUint64(b, uint64(v))
			}
			for _, v := range []int{3, n / 2} { // highest level, entry point
				b = le.AppendUint32(b, uint32(v))
			}
			for _, v := range []int{linksPerLevel, linksAtBase, linksPerLevel} {
				b = le.AppendUint64(b, uint64(v))
			}
			b = le.AppendUint64(b, math.Float64bits(1/math.Log(linksPerLevel)))
			return le.AppendUint64(b, 100) // size of the search while it was built
		}},
		{"index_metadata.pickle", n + 1, func(b []byte, i int) []byte { return appendLabel(b, i, n, uuid(rnd)) }},
	}
	for _, f := range files {
		if err := create(filepath.Join(dir, f.name), f.n, f.write); err != nil {
			return err
		}
	}
	return nil
}

// appendLabel writes entry i of {"id_to_label": {name: label, ...}} in Python's pickle protocol 4, and its ends:
// it is called for i from 0 to n, the last time to close it.
func appendLabel(b []byte, i, n int, name string) []byte {
	const (
		begin   = "\x80\x04}\x8c\x0bid_to_label}(" // protocol, dict, key, dict, mark
		setAll  = "u"
		setItem = "s"
		stop    = "."
	)
	if i == 0 {
		b = append(b, begin...)
	}
	if i == n {
		return append(b, setAll+setItem+stop...)
	}
	b = append(b, 0x8c, byte(len(name))) // short text
	b = append(b, name...)
	b = append(b, 'J') // four-byte integer
	return binary.LittleEndian.AppendUint32(b, uint32(i))
}
