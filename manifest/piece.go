package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
)

// pieceTarget is where a piece ends at the latest, its first line not counted.
const pieceTarget = 1 << 20

// A PieceRef is where a piece of a table lies: an extent of one of the head's roots.
type PieceRef struct {
	First   string // path (raw bytes) or hash in its first line
	Archive int    // index into Head.Roots
	Off     int64
	Len     int64
	SHA256  Hash
}

func (p PieceRef) MarshalJSON() ([]byte, error) {
	first, raw := text(p.First)
	if raw != nil {
		return marshalTuple(first, p.Archive, p.Off, p.Len, p.SHA256, raw)
	}
	return marshalTuple(first, p.Archive, p.Off, p.Len, p.SHA256)
}

func (p *PieceRef) UnmarshalJSON(data []byte) error {
	var n []json.RawMessage
	if err := json.Unmarshal(data, &n); err != nil {
		return err
	}
	var raw []byte
	into := []any{&p.First, &p.Archive, &p.Off, &p.Len, &p.SHA256}
	if len(n) == 6 {
		into = append(into, &raw)
	}
	err := unmarshalTuple(data, into...)
	if err != nil {
		return err
	}
	p.First, err = untext(p.First, raw)
	return err
}

// checkPieces holds the list of a table's pieces to the rules.
func (h *Head) checkPieces(t *Table, checkKey func(string) error, compare func(a, b string) int) error {
	if t.Count < 0 || t.Bytes < 0 || (t.Count == 0) != (len(t.Pieces) == 0) {
		return invalid("%d pieces for %d lines of %d bytes", len(t.Pieces), t.Count, t.Bytes)
	}
	for i, p := range t.Pieces {
		if err := checkKey(p.First); err != nil {
			return fmt.Errorf("piece %d: %w", i, err)
		}
		if p.Archive < 0 || p.Archive >= len(h.Roots) {
			return invalid("piece %q in archive %d of %d", p.First, p.Archive, len(h.Roots))
		}
		if p.Len < 1 || p.Len > MaxPiece {
			return invalid("piece %q of %d bytes", p.First, p.Len)
		}
		if err := h.Roots[p.Archive].Contains(p.Off, p.Len); err != nil {
			return fmt.Errorf("piece %q: %w", p.First, err)
		}
		if i > 0 && compare(t.Pieces[i-1].First, p.First) >= 0 {
			return invalid("piece %q is out of order", p.First)
		}
	}
	return nil
}

// Archives are keyed by their hashes as text.
func compareHashes(a, b string) int { return strings.Compare(a, b) }

func checkHash(s string) error {
	if _, err := ParseHash(s); err != nil {
		return invalid("%v", err)
	}
	return nil
}

// endsPiece reports whether a piece ends after the line with this key.
func endsPiece(key []byte) bool {
	sum := sha256.Sum256(key)
	return sum[0] == 0 && sum[1]&0x80 == 0
}

// parsePiece reads the first line of a piece or map, and returns the archives that it names and the other lines, each
// with its newline.
func parsePiece(data []byte) (archives []Hash, lines []byte, err error) {
	switch {
	case len(data) > MaxPiece:
		return nil, nil, invalid("%d bytes, more than %d", len(data), MaxPiece)
	case len(data) == 0 || data[len(data)-1] != '\n':
		return nil, nil, invalid("it does not end with a newline")
	}
	first, lines, _ := bytes.Cut(data, []byte{'\n'})
	if len(lines) == 0 {
		return nil, nil, invalid("it has no lines")
	}
	archives, err = parseArchivesLine(first)
	return archives, lines, err
}

// find returns the index of the last piece that begins at or before name, or 0.
func (t *Table) find(name string, compare func(a, b string) int) int {
	n := sort.Search(len(t.Pieces), func(i int) bool { return compare(t.Pieces[i].First, name) > 0 })
	return max(0, n-1)
}

// order checks the keys of the lines of one piece.
type order struct {
	compare func(a, b string) int
	piece   PieceRef
	before  string // the first key of the next piece; empty after the last
	last    string
	line    int // number of the line that comes next
}

func (t *Table) order(i int, compare func(a, b string) int) *order {
	o := &order{compare: compare, piece: t.Pieces[i], line: 2}
	if i+1 < len(t.Pieces) {
		o.before = t.Pieces[i+1].First
	}
	return o
}

// next checks the key of the next line.
func (o *order) next(key string) error {
	switch {
	case o.line == 2 && key != o.piece.First:
		return invalid("it begins with %q", key)
	case o.line > 2 && o.compare(o.last, key) >= 0, o.before != "" && o.compare(key, o.before) >= 0:
		return invalid("%q is out of order", key)
	}
	o.last = key
	o.line++
	return nil
}

// piece fetches and verifies a piece, and returns the archives that its first line names, and its other lines.
func (h *Head) piece(p PieceRef, fetch Fetch) (archives []Hash, lines []byte, err error) {
	data, err := fetch(h.Roots[p.Archive].SHA256, p.Off, p.Len)
	if err != nil {
		return nil, nil, fmt.Errorf("read piece %q: %w", p.First, err)
	}
	if HashOf(data) != p.SHA256 {
		return nil, nil, invalid("piece %q in archive %s: its bytes do not have SHA-256 %s", p.First, h.Roots[p.Archive].SHA256, p.SHA256)
	}
	if archives, lines, err = parsePiece(data); err != nil {
		return nil, nil, fmt.Errorf("piece %q: %w", p.First, err)
	}
	return archives, lines, nil
}
