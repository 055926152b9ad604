package manifest

import (
	"bytes"
	"fmt"
	"iter"
)

// mapLine is the second line of a map.
type mapLine struct {
	Extents wireExtents `json:"extents"`
}

// EncodeMap writes the map of extents that follow each other in a file. They cover MapSpan bytes, or the
// rest of the file.
func EncodeMap(extents []Extent) ([]byte, error) {
	span := int64(0)
	for _, e := range extents {
		if err := e.check(MaxExtent); err != nil {
			return nil, err
		}
		if span += min(e.Len, MapSpan+1); span > MapSpan {
			return nil, invalid("map of more than %d bytes", MapSpan)
		}
	}
	if span == 0 {
		return nil, invalid("map of no extents")
	}
	archives := newArchiveList()
	second, err := marshal(mapLine{archives.wire(extents)})
	if err != nil {
		return nil, err
	}
	first, err := archives.line()
	if err != nil {
		return nil, err
	}
	if n := len(first) + len(second); n > MaxPiece {
		return nil, invalid("map of %d bytes, more than %d", n, MaxPiece)
	}
	return append(first, second...), nil
}

// ParseMap reads a map that covers span bytes. The caller has checked its SHA-256.
func ParseMap(data []byte, span int64) ([]Extent, error) {
	archives, rest, err := parsePiece(data)
	if err != nil {
		return nil, err
	}
	if n := bytes.Count(rest, []byte{'\n'}); n != 1 {
		return nil, invalid("map of %d lines, not 2", n+1)
	}
	var l mapLine
	if err := unmarshal(rest, &l); err != nil {
		return nil, err
	}
	extents, err := unwire(l.Extents, archives)
	if err != nil {
		return nil, err
	}
	if err := checkExtents(extents, span); err != nil {
		return nil, err
	}
	return extents, nil
}

// AllExtents yields the content of a file in order, reading its maps, if it has any, one at a time. With the error of a map comes an extent
// that has the length of what is not known; who goes on gets the next map.
func (f *File) AllExtents(fetch Fetch) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		for _, e := range f.Extents {
			if !yield(e, nil) {
				return
			}
		}
		rest := f.Size
		for _, m := range f.Maps {
			extents, err := m.read(min(rest, MapSpan), fetch)
			if err != nil && !yield(Extent{Len: min(rest, MapSpan)}, fmt.Errorf("map of %q: %w", f.Path, err)) {
				return
			}
			for _, e := range extents {
				if !yield(e, nil) {
					return
				}
			}
			rest -= MapSpan
		}
	}
}

func (m *Map) read(span int64, fetch Fetch) ([]Extent, error) {
	data, err := fetch(m.Archive, m.Off, m.Len)
	if err != nil {
		return nil, err
	}
	if HashOf(data) != m.SHA256 {
		return nil, invalid("its bytes do not have SHA-256 %s", m.SHA256)
	}
	return ParseMap(data, span)
}
