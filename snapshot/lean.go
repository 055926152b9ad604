package snapshot

import (
	"cmp"
	"maps"
	"slices"

	"lifeboat/archive"
)

// What a snapshot leans on decides how much is stored for long, and how many archives a restore needs. The figures are those of a
// simulation: docs/decisions/0073.
const (
	leastAlive   = 0.40     // of an archive; under it, what lives in it is stored again
	sameSizeMost = 16       // archives of one source and one size class; with more, they are stored again as one
	againOfNew   = 0.70     // how much is stored again at most for both, as it is stored, of the content that was new in the snapshot before
	leastAgain   = 64 << 20 // or so many bytes, if that is more
)

// sizeClasses are the sizes up to which archives count as small, in bytes.
var sizeClasses = []int64{128 << 10, 1 << 20, 8 << 20}

// LeanOn decides which archives of the base may be leaned on: those that are present, but for some of which little lives and for small ones of
// which there are many. What lives in the others is stored again. See Scale.
func (b *Base) LeanOn(present func(*BaseArchive) bool) {
	for i := range b.Archives {
		b.usable[i] = present(&b.Archives[i])
	}
	changed := int64(0)
	for _, s := range b.sections {
		changed += s.Changed
	}
	left := max(leastAgain/b.scale(), int64(againOfNew*float64(changed)))
	b.leaveThin(b.leaveSmall(left))
}

// alive is the part of an archive that the snapshot uses.
func (a *BaseArchive) alive() float64 { return float64(a.Alive) / float64(max(1, a.Data)) }

// living is how many bytes that part takes in the store, about.
func (a *BaseArchive) living() int64 { return int64(a.alive() * float64(a.Size)) }

// full reports that as much content is in an archive as there would be if it were joined with others, about: it is small because it compresses
// well, and would be as small again.
func (b *Base) full(a *BaseArchive) bool {
	return a.Length >= cmp.Or(b.Limit, archive.DefaultLimit)/2
}

// leaveSmall leaves small archives that have become many, the smallest first, but no more than left bytes, and returns what is left of those.
func (b *Base) leaveSmall(left int64) int64 {
	type class struct {
		source string
		size   int
	}
	members := map[class][]int{}
	for i := range b.Archives {
		size, _ := slices.BinarySearch(sizeClasses, b.Archives[i].Size*b.scale())
		if b.usable[i] && size < len(sizeClasses) && !b.full(&b.Archives[i]) {
			c := class{b.Archives[i].Source, size}
			members[c] = append(members[c], i)
		}
	}
	order := slices.SortedFunc(maps.Keys(members), func(x, y class) int {
		return cmp.Or(cmp.Compare(x.source, y.source), cmp.Compare(x.size, y.size))
	})
	for _, c := range order {
		list := members[c]
		if len(list) <= sameSizeMost {
			continue
		}
		slices.SortStableFunc(list, func(i, j int) int { return cmp.Compare(b.Archives[i].Size, b.Archives[j].Size) })
		for _, i := range list {
			n := b.Archives[i].living()
			if n > left {
				break
			}
			b.usable[i] = false
			left -= n
		}
	}
	return left
}

// leaveThin leaves archives of which little lives, the thinnest first, but no more than left bytes.
func (b *Base) leaveThin(left int64) {
	alive := func(i int) float64 { return b.Archives[i].alive() }
	var thin []int
	for i := range b.Archives {
		if b.usable[i] && alive(i) < leastAlive {
			thin = append(thin, i)
		}
	}
	slices.SortStableFunc(thin, func(i, j int) int { return cmp.Compare(alive(i), alive(j)) })
	for _, i := range thin {
		if left -= b.Archives[i].living(); left < 0 {
			return
		}
		b.usable[i] = false
	}
}

// scale is Scale, or 1.
func (b *Base) scale() int64 { return max(1, b.Scale) }
