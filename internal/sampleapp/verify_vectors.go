package sampleapp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// chroma checks the vector store: what its database says, then the files of the segment that it names.
func (v *verifier) chroma() (err error) {
	dir := filepath.Join(v.dir, ChromaName)
	s, err := v.open(filepath.Join(dir, "chroma.sqlite3"), "delete")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()

	var segment, collection string
	var size, added, documents int64
	err = s.QueryRowContext(v.ctx, `SELECT segments.id, collections.id, dimension, seq_id,
			(SELECT count(*) FROM embeddings JOIN embedding_metadata USING(id))
		FROM segments JOIN collections ON collections.id = collection JOIN max_seq_id ON segment_id = segments.id
		WHERE scope = 'VECTOR'`).Scan(&segment, &collection, &size, &added, &documents)
	if err != nil {
		return fmt.Errorf("chroma.sqlite3: %w", err)
	}
	want(v, "chroma.sqlite3: dimension", size, dimension)
	want(v, "chroma.sqlite3: vectors added", added, int64(Vectors))
	want(v, "chroma.sqlite3: documents", documents, int64(Vectors))
	if v.expected != nil {
		want(v, "chroma.sqlite3: collection", collection, v.expected.Collection)
	}
	return v.segment(filepath.Join(dir, segment))
}

// segment checks the files of the index against its header.
func (v *verifier) segment(dir string) error {
	files := map[string][]byte{}
	for _, name := range []string{"header.bin", "data_level0.bin", "length.bin", "link_lists.bin", "index_metadata.pickle"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		files[name] = data
	}
	var h vectorHeader
	order := binary.LittleEndian
	want(v, "header.bin: bytes", len(files["header.bin"]), binary.Size(h))
	if err := binary.Read(bytes.NewReader(files["header.bin"]), order, &h); err != nil {
		return fmt.Errorf("header.bin: %w", err)
	}
	want(v, "header.bin: elements", h.Count, Vectors)
	want(v, "header.bin: element size", h.ElementSize, elementSize)
	want(v, "header.bin: label offset", h.LabelOffset, labelOffset)
	level0, lengths := files["data_level0.bin"], files["length.bin"]
	if uint64(len(level0)) != h.Count*h.ElementSize || uint64(len(lengths)) != 4*h.Count || h.ElementSize != elementSize {
		return fmt.Errorf("data_level0.bin has %d bytes and length.bin %d, which is not what header.bin says: %d elements of %d bytes",
			len(level0), len(lengths), h.Count, h.ElementSize)
	}
	v.report.Vectors = int64(h.Count)
	var upper uint64
	for i := range h.Count {
		if label := order.Uint64(level0[i*elementSize+labelOffset:]); label != i+1 {
			return fmt.Errorf("data_level0.bin: element %d has the label %d", i, label)
		}
		upper += uint64(order.Uint32(lengths[4*i:]))
	}
	want(v, "link_lists.bin: bytes", uint64(len(files["link_lists.bin"])), upper)
	if !bytes.Equal(files["index_metadata.pickle"], pickle(dimension, Vectors)) {
		return errors.New("index_metadata.pickle is not what was written")
	}
	return nil
}
