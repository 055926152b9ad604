package snapshot

import (
	"cmp"
	"slices"
)

// What a snapshot leans on decides how much is stored for long, and how many archives a restore needs. The figures are those of a
// simulation: docs/decisions/0071.
const (
	leastAlive   = 0.40     // of an archive; under it, what lives in it is stored again
	againOfNew   = 0.75     // how much is stored again for that at most, of what the snapshot before stored
	leastAgain   = 64 << 20 // or so many bytes, if that is more
	sameSizeMost = 16       // archives of one source and one size class; with more, they are stored again as one
)

// sizeClasses are the sizes up to which archives count as small, in bytes.
var sizeClasses = []int64{128 << 10, 1 << 20, 8 << 20}

// LeanOn decides which archives of the base may be leaned on: those that are present, but for some of which little lives and for small ones of
// which there are many. What lives in the others is stored again.
func (b *Base) LeanOn(present func(*BaseArchive) bool) {
	for i := range b.Archives {
		b.usable[i] = present(&b.Archives[i])
	}
	b.leaveThin()
	b.leaveSmall()
}

// leaveThin leaves archives of which little lives, the thinnest first.
func (b *Base) leaveThin() {
	alive := func(i int) float64 { return float64(b.Archives[i].Alive) / float64(max(1, b.Archives[i].Data)) }
	var thin []int
	for i := range b.Archives {
		if b.usable[i] && alive(i) < leastAlive {
			thin = append(thin, i)
		}
	}
	slices.SortStableFunc(thin, func(i, j int) int { return cmp.Compare(alive(i), alive(j)) })
	left := max(leastAgain, int64(againOfNew*float64(b.Head.Stats.NewBytes)))
	for _, i := range thin {
		if left -= b.Archives[i].Alive; left < 0 {
			return
		}
		b.usable[i] = false
	}
}

// leaveSmall leaves small archives that have become many.
func (b *Base) leaveSmall() {
	type class struct {
		source string
		size   int
	}
	members := map[class][]int{}
	for i := range b.Archives {
		size, _ := slices.BinarySearch(sizeClasses, b.Archives[i].Size)
		if b.usable[i] && size < len(sizeClasses) {
			c := class{b.Archives[i].Source, size}
			members[c] = append(members[c], i)
		}
	}
	for _, list := range members {
		if len(list) <= sameSizeMost {
			continue
		}
		for _, i := range list {
			b.usable[i] = false
		}
	}
}
