package validate

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"

	"github.com/dustin/go-humanize"

	"lifeboat/manifest"
)

// A Subset says which part of the archives is to be read: one of a number of groups, a share, or an amount. A group holds the same archives
// in every run, so that as many runs as there are groups read everything; shares and amounts are chosen anew each time.
type Subset struct {
	group, of uint64
	share     float64 // of the archives
	bytes     int64
}

var groupForm = regexp.MustCompile(`^([0-9]{1,9})/([0-9]{1,9})$`)

// ParseSubset reads 1/7, 5% or 500MiB.
func ParseSubset(s string) (Subset, error) {
	if m := groupForm.FindStringSubmatch(s); m != nil {
		group, _ := strconv.ParseUint(m[1], 10, 64)
		of, _ := strconv.ParseUint(m[2], 10, 64)
		if group < 1 || group > of {
			return Subset{}, fmt.Errorf("%q: of %d groups, give 1 to %d", s, of, of)
		}
		return Subset{group: group, of: of}, nil
	}
	if n := len(s); n > 1 && s[n-1] == '%' {
		if share, err := strconv.ParseFloat(s[:n-1], 64); err == nil && share > 0 && share <= 100 {
			return Subset{share: share / 100}, nil
		}
		return Subset{}, fmt.Errorf("%q: want more than 0%% and at most 100%%", s)
	}
	n, err := humanize.ParseBytes(s)
	if err != nil || n < 1 || n > math.MaxInt64 {
		return Subset{}, fmt.Errorf("%.40q: want a group as in 1/7, a share as in 5%%, or an amount as in 500MiB", s)
	}
	return Subset{bytes: int64(n)}, nil
}

// Choose returns which archives are to be read, of those with their stored sizes. There is always one, if there are any, but in a group.
func (s Subset) Choose(sizes map[manifest.Hash]int64, random *rand.Rand) map[manifest.Hash]bool {
	chosen := map[manifest.Hash]bool{}
	if s.of > 0 {
		for h := range sizes {
			// The first bytes of a hash are as good as a die, and the same everywhere.
			if binary.BigEndian.Uint64(h[:])%s.of == s.group-1 {
				chosen[h] = true
			}
		}
		return chosen
	}
	all := make([]manifest.Hash, 0, len(sizes))
	for h := range sizes {
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b manifest.Hash) int { return bytes.Compare(a[:], b[:]) })
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	most := len(all)
	if s.share > 0 {
		most = int(math.Ceil(s.share * float64(len(all))))
	}
	var sum int64
	for _, h := range all[:most] {
		if sum += sizes[h]; s.bytes > 0 && sum > s.bytes && len(chosen) > 0 {
			break
		}
		chosen[h] = true
	}
	return chosen
}
