package manifest

import "slices"

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

func (a *archiveList) wire(extents []Extent) wireExtents {
	if len(extents) == 0 {
		return nil
	}
	w := make(wireExtents, len(extents))
	for i, e := range extents {
		w[i] = a.wireOne(e)
	}
	return w
}

func (a *archiveList) wireMaps(maps []Map) wireMaps {
	if len(maps) == 0 {
		return nil
	}
	w := make(wireMaps, len(maps))
	for i, m := range maps {
		w[i] = wireMap{a.wireOne(m.Extent), m.SHA256}
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

// archivesLineLen returns how long the line of n archives is.
func archivesLineLen(n int) int {
	return len(`{"archives":[]}`) + n*(2*len(Hash{})+len(`"",`))
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

// check holds an extent to what can be checked without the description of its archive. It may be max bytes
// long, unless it is zeros.
func (e Extent) check(max int64) error {
	switch {
	case e.Len < 1 || e.Off < 0:
		return invalid("extent of %d bytes at %d", e.Len, e.Off)
	case e.IsZeros() && e.Off != 0:
		return invalid("extent of zeros at %d", e.Off)
	case e.IsZeros():
		return nil
	case e.Len > max:
		return invalid("extent of %d bytes, more than %d", e.Len, max)
	case e.Off > MaxArchive-e.Len:
		return invalid("extent of %d bytes at %d, beyond the end of any archive", e.Len, e.Off)
	}
	return nil
}

// checkExtents checks each of them, and that they add up to size, without overflow.
func checkExtents(extents []Extent, size int64) error {
	rest := size
	for _, e := range extents {
		if err := e.check(MaxExtent); err != nil {
			return err
		}
		if e.Len > rest {
			return invalid("extents do not add up to %d bytes, but to more", size)
		}
		rest -= e.Len
	}
	if rest != 0 {
		return invalid("extents do not add up to %d bytes, %d are missing", size, rest)
	}
	return nil
}
