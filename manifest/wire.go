package manifest

import "strconv"

// wireExtent is [archive, off, len], where archive is an index into the first line of the piece, or -1.
type wireExtent struct{ archive, off, len int64 }

func (w wireExtent) append(b []byte) []byte {
	b = append(b, '[')
	b = strconv.AppendInt(b, w.archive, 10)
	b = append(b, ',')
	b = strconv.AppendInt(b, w.off, 10)
	b = append(b, ',')
	return strconv.AppendInt(b, w.len, 10)
}

// read reads what append writes. The cursor's closing bracket is the caller's.
func (w *wireExtent) read(c *cursor) {
	c.expect('[')
	w.archive = c.int()
	c.expect(',')
	w.off = c.int()
	c.expect(',')
	w.len = c.int()
}

// extent resolves the index.
func (w wireExtent) extent(archives []Hash) (Extent, error) {
	switch {
	case w.archive == -1:
		return Extent{Off: w.off, Len: w.len}, nil
	case w.archive < 0 || w.archive >= int64(len(archives)):
		return Extent{}, invalid("extent in archive %d of %d", w.archive, len(archives))
	}
	return Extent{archives[w.archive], w.off, w.len}, nil
}

// wireExtents are the extents of a file or a map.
type wireExtents []wireExtent

func (ws wireExtents) MarshalJSON() ([]byte, error) { return ws.append(nil), nil }

func (ws wireExtents) append(b []byte) []byte {
	b = append(b, '[')
	for i, w := range ws {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(w.append(b), ']')
	}
	return append(b, ']')
}

func (ws *wireExtents) UnmarshalJSON(data []byte) error {
	c := cursor{rest: data}
	c.list(func() {
		var w wireExtent
		w.read(&c)
		c.expect(']')
		*ws = append(*ws, w)
	})
	return c.err
}

func unwire(ws wireExtents, archives []Hash) ([]Extent, error) {
	if len(ws) == 0 {
		return nil, nil
	}
	extents := make([]Extent, len(ws))
	for i, w := range ws {
		var err error
		if extents[i], err = w.extent(archives); err != nil {
			return nil, err
		}
	}
	return extents, nil
}

// wireMap is [archive, off, len, "sha256"].
type wireMap struct {
	wireExtent
	sha256 Hash
}

// wireMaps are the maps of a file.
type wireMaps []wireMap

func (ws wireMaps) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	for i, w := range ws {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(w.append(b), ',', '"')
		b = append(b, w.sha256.String()...)
		b = append(b, '"', ']')
	}
	return append(b, ']'), nil
}

func (ws *wireMaps) UnmarshalJSON(data []byte) error {
	c := cursor{rest: data}
	c.list(func() {
		var w wireMap
		w.read(&c)
		c.expect(',')
		w.sha256 = c.hash()
		c.expect(']')
		*ws = append(*ws, w)
	})
	return c.err
}

func unwireMaps(ws wireMaps, archives []Hash) ([]Map, error) {
	if len(ws) == 0 {
		return nil, nil
	}
	maps := make([]Map, len(ws))
	for i, w := range ws {
		e, err := w.extent(archives)
		if err != nil {
			return nil, err
		}
		maps[i] = Map{e, w.sha256}
	}
	return maps, nil
}
