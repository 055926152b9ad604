package manifest

import (
	"slices"
	"strconv"
)

// archiveList numbers the archives that one piece refers to, in the order of their first use.
type archiveList struct {
	hashes []Hash
	index  map[Hash]int64
}

func newArchiveList() *archiveList { return &archiveList{index: map[Hash]int64{}} }

func (a *archiveList) number(h Hash) int64 {
	if h.IsZero() {
		return -1
	}
	n, ok := a.index[h]
	if !ok {
		n = int64(len(a.hashes))
		a.index[h] = n
		a.hashes = append(a.hashes, h)
	}
	return n
}

// truncate forgets all but the first n archives.
func (a *archiveList) truncate(n int) {
	for _, h := range a.hashes[n:] {
		delete(a.index, h)
	}
	a.hashes = a.hashes[:n]
}

func (a *archiveList) wireOne(e Extent) wireExtent {
	return wireExtent{a.number(e.Archive), e.Off, e.Len}
}

func (a *archiveList) wire(extents []Extent) []wireExtent {
	if len(extents) == 0 {
		return nil
	}
	w := make([]wireExtent, len(extents))
	for i, e := range extents {
		w[i] = a.wireOne(e)
	}
	return w
}

// archivesLine is the first line of a piece and of a map.
type archivesLine struct {
	Archives []Hash `json:"archives"`
}

func (a *archiveList) line() ([]byte, error) {
	return marshal(archivesLine{append([]Hash{}, a.hashes...)})
}

func parseArchivesLine(line []byte) ([]Hash, error) {
	var l archivesLine
	if err := unmarshal(line, &l); err != nil {
		return nil, err
	}
	if l.Archives == nil {
		return nil, invalid("first line names no archives")
	}
	if slices.ContainsFunc(l.Archives, Hash.IsZero) {
		return nil, invalid("first line names an archive of zeros")
	}
	return l.Archives, nil
}

// wireExtent is [archive, off, len], where archive is an index or -1.
type wireExtent struct{ archive, off, len int64 }

func (w wireExtent) append(b []byte) []byte {
	b = append(b, '[')
	b = strconv.AppendInt(b, w.archive, 10)
	b = append(b, ',')
	b = strconv.AppendInt(b, w.off, 10)
	b = append(b, ',')
	b = strconv.AppendInt(b, w.len, 10)
	return b
}

func (w wireExtent) MarshalJSON() ([]byte, error) { return append(w.append(nil), ']'), nil }

func (w *wireExtent) UnmarshalJSON(data []byte) error {
	return unmarshalTuple(data, &w.archive, &w.off, &w.len)
}

// extent resolves the index, and checks what can be checked without the archive's description.
func (w wireExtent) extent(archives []Hash) (Extent, error) {
	switch {
	case w.len < 1 || w.off < 0:
		return Extent{}, invalid("extent of %d bytes at %d", w.len, w.off)
	case w.archive == -1 && w.off == 0:
		return Extent{Len: w.len}, nil
	case w.archive < 0 || w.archive >= int64(len(archives)):
		return Extent{}, invalid("extent in archive %d of %d", w.archive, len(archives))
	case w.off+w.len > MaxArchive || w.off > MaxArchive || w.len > MaxPiece:
		return Extent{}, invalid("extent of %d bytes at %d", w.len, w.off)
	}
	return Extent{archives[w.archive], w.off, w.len}, nil
}

func unwire(ws []wireExtent, archives []Hash) ([]Extent, error) {
	if ws == nil {
		return nil, nil
	}
	extents := make([]Extent, len(ws))
	for i, w := range ws {
		e, err := w.extent(archives)
		if err != nil {
			return nil, err
		}
		if !e.IsZeros() && e.Len > MaxExtent {
			return nil, invalid("extent of %d bytes, more than %d", e.Len, MaxExtent)
		}
		extents[i] = e
	}
	return extents, nil
}

// wireMap is [archive, off, len, "sha256"].
type wireMap struct {
	wireExtent
	sha256 Hash
}

func (w wireMap) MarshalJSON() ([]byte, error) {
	b := append(w.append(nil), ',', '"')
	b = append(b, w.sha256.String()...)
	return append(b, '"', ']'), nil
}

func (w *wireMap) UnmarshalJSON(data []byte) error {
	return unmarshalTuple(data, &w.archive, &w.off, &w.len, &w.sha256)
}

// mapLine is the second line of a map.
type mapLine struct {
	Extents []wireExtent `json:"extents"`
}

// EncodeMap writes the map of extents that follow each other in a file. They cover MapSpan bytes, or the
// rest of the file.
func EncodeMap(extents []Extent) ([]byte, error) {
	archives := newArchiveList()
	second, err := marshal(mapLine{archives.wire(extents)})
	if err != nil {
		return nil, err
	}
	first, err := archives.line()
	return append(first, second...), err
}

// ParseMap reads a map that covers span bytes. The caller has checked its SHA-256.
func ParseMap(data []byte, span int64) ([]Extent, error) {
	lines, err := splitLines(data)
	if err != nil {
		return nil, err
	}
	if len(lines) != 2 {
		return nil, invalid("map of %d lines", len(lines))
	}
	archives, err := parseArchivesLine(lines[0])
	if err != nil {
		return nil, err
	}
	var l mapLine
	if err := unmarshal(lines[1], &l); err != nil {
		return nil, err
	}
	extents, err := unwire(l.Extents, archives)
	if err != nil {
		return nil, err
	}
	return extents, checkSum("map", extents, span)
}
