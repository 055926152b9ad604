package sampleapp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"lifeboat/internal/durable"
)

// The shape of the index. An element of data_level0.bin is its links (a count and maxLinks0 numbers),
// the vector, and its label, as in hnswlib (https://github.com/nmslib/hnswlib), whose files Chroma
// keeps.
const (
	dimension   = 64
	links       = 16
	maxLinks0   = 2 * links
	offsetData  = 4 + 4*maxLinks0
	labelOffset = offsetData + 4*dimension
	elementSize = labelOffset + 8
	upperSize   = 4 + 4*links // of an element's links on one upper level
	upperEvery  = links       // one element of so many is on an upper level
)

// vectorHeader is header.bin, little-endian and without gaps.
type vectorHeader struct {
	Version        int32
	OffsetLevel0   uint64
	MaxElements    uint64
	Count          uint64 // of elements
	ElementSize    uint64 // bytes of one in data_level0.bin
	LabelOffset    uint64
	OffsetData     uint64
	MaxLevel       int32
	EntryPoint     uint32
	MaxLinks       uint64
	MaxLinks0      uint64
	Links          uint64
	LevelFactor    float64
	EFConstruction uint64
}

// chromaSchema is the part of Chroma's tables that tells which vectors there must be.
const chromaSchema = `
CREATE TABLE collections(id TEXT PRIMARY KEY, name TEXT NOT NULL, dimension INTEGER NOT NULL);
CREATE TABLE segments(id TEXT PRIMARY KEY, type TEXT NOT NULL, scope TEXT NOT NULL,
	collection TEXT NOT NULL REFERENCES collections(id));
CREATE TABLE embeddings(id INTEGER PRIMARY KEY, segment_id TEXT NOT NULL, embedding_id TEXT NOT NULL,
	seq_id INTEGER NOT NULL, UNIQUE(segment_id, embedding_id));
CREATE TABLE embedding_metadata(id INTEGER REFERENCES embeddings(id), key TEXT NOT NULL, string_value TEXT,
	PRIMARY KEY(id, key));
CREATE TABLE max_seq_id(segment_id TEXT PRIMARY KEY, seq_id INTEGER NOT NULL);`

// createChroma makes the vector store in dir.
func createChroma(ctx context.Context, dir, collection string, random *rand.Rand) (err error) {
	segment := newUUID(random)
	segmentDir := filepath.Join(dir, segment)
	if err := durable.MkdirAll(segmentDir, 0o755); err != nil {
		return err
	}
	if err := createSegment(segmentDir, random); err != nil {
		return err
	}
	s, err := connect(ctx, filepath.Join(dir, "chroma.sqlite3"), true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.transaction(ctx, func() error {
		metadata := newUUID(random)
		for _, row := range []struct {
			statement string
			args      []any
		}{
			{chromaSchema, nil},
			{"INSERT INTO collections VALUES(?, 'documents', ?)", []any{collection, dimension}},
			{"INSERT INTO segments VALUES(?, 'urn:chroma:segment/vector/hnsw-local-persisted', 'VECTOR', ?)", []any{segment, collection}},
			{"INSERT INTO segments VALUES(?, 'urn:chroma:segment/metadata/sqlite', 'METADATA', ?)", []any{metadata, collection}},
			{"INSERT INTO max_seq_id VALUES(?, ?)", []any{segment, Vectors}},
			{"INSERT INTO max_seq_id VALUES(?, ?)", []any{metadata, Vectors}},
		} {
			if err := s.exec(ctx, row.statement, row.args...); err != nil {
				return err
			}
		}
		for i := 1; i <= Vectors; i++ {
			if err := s.exec(ctx, "INSERT INTO embeddings VALUES(?, ?, ?, ?)", i, metadata, fmt.Sprintf("doc-%d", i), i); err != nil {
				return err
			}
			if err := s.exec(ctx, "INSERT INTO embedding_metadata VALUES(?, 'chroma:document', ?)", i, newText(random)); err != nil {
				return err
			}
		}
		return nil
	})
}

// createSegment makes the files of the index.
func createSegment(dir string, random *rand.Rand) error {
	var level0, lengths, upper []byte
	order := binary.LittleEndian
	neighbours := func(b []byte, n int) []byte {
		b = order.AppendUint32(b, uint32(n))
		for range n {
			b = order.AppendUint32(b, random.Uint32N(Vectors))
		}
		return b
	}
	for i := range Vectors {
		level0 = neighbours(level0, maxLinks0)
		for range dimension {
			level0 = order.AppendUint32(level0, math.Float32bits(random.Float32()))
		}
		level0 = order.AppendUint64(level0, uint64(i+1))
		if i%upperEvery == 0 {
			lengths = order.AppendUint32(lengths, upperSize)
			upper = neighbours(upper, links)
		} else {
			lengths = order.AppendUint32(lengths, 0)
		}
	}
	var header bytes.Buffer
	err := binary.Write(&header, order, vectorHeader{
		Version: 1, MaxElements: Vectors, Count: Vectors, ElementSize: elementSize, LabelOffset: labelOffset,
		OffsetData: offsetData, MaxLevel: 1, MaxLinks: links, MaxLinks0: maxLinks0, Links: links,
		LevelFactor: 0.36067376022224085, EFConstruction: 100,
	})
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name string
		data []byte
	}{
		{"header.bin", header.Bytes()}, {"data_level0.bin", level0}, {"length.bin", lengths}, {"link_lists.bin", upper},
		{"index_metadata.pickle", pickle(dimension, Vectors)}, // when the others are complete
	} {
		if err := os.WriteFile(filepath.Join(dir, file.name), file.data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pickle returns what Python's pickle.dumps, protocol 2, could give for {"dimensionality": dimension,
// "total_elements_added": count}.
func pickle(dimension, count int) []byte {
	b := []byte("\x80\x02}(")
	for _, item := range []struct {
		key   string
		value int
	}{{"dimensionality", dimension}, {"total_elements_added", count}} {
		b = append(b, 'X')
		b = binary.LittleEndian.AppendUint32(b, uint32(len(item.key)))
		b = append(b, item.key...)
		b = append(b, 'J')
		b = binary.LittleEndian.AppendUint32(b, uint32(item.value))
	}
	return append(b, "u."...)
}
