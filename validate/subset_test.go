//go:build unix

package validate_test

import (
	"math/rand/v2"
	"testing"

	"lifeboat/manifest"
	"lifeboat/validate"
)

// As many runs as there are groups read every archive once; a group is the same in every run and does not depend on what else there is.
func TestGroups(t *testing.T) {
	sizes := map[manifest.Hash]int64{}
	for i := range 1000 {
		sizes[manifest.HashOf([]byte{byte(i), byte(i >> 8)})] = 1
	}
	in := map[manifest.Hash]int{}
	for group := range 7 {
		s, err := validate.ParseSubset(string(rune('1'+group)) + "/7")
		must(t, err)
		chosen := s.Choose(sizes, nil)
		if len(chosen) < 100 || len(chosen) > 200 {
			t.Errorf("group %d has %d of 1000", group, len(chosen))
		}
		for h := range chosen {
			if in[h] != 0 {
				t.Fatalf("%s is in two groups", h)
			}
			in[h] = group + 1
			if alone := s.Choose(map[manifest.Hash]int64{h: 9}, nil); !alone[h] {
				t.Fatalf("alone, %s is in no group", h)
			}
		}
	}
	if len(in) != len(sizes) {
		t.Errorf("%d of %d are in a group", len(in), len(sizes))
	}
}

// A share and an amount choose as much as they say, and something else each time.
func TestSharesAndAmounts(t *testing.T) {
	sizes := map[manifest.Hash]int64{}
	for i := range 40 {
		sizes[manifest.HashOf([]byte{byte(i)})] = 1 << 20
	}
	for text, want := range map[string]int{"5%": 2, "0.1%": 1, "100%": 40, "51%": 21, "10MiB": 10, "1": 1, "1.5MiB": 1, "10GiB": 40} {
		s, err := validate.ParseSubset(text)
		must(t, err)
		seen := map[manifest.Hash]bool{}
		for seed := range uint64(200) {
			chosen := s.Choose(sizes, rand.New(rand.NewPCG(seed, 1)))
			if len(chosen) != want {
				t.Fatalf("%s chooses %d, want %d", text, len(chosen), want)
			}
			for h := range chosen {
				seen[h] = true
			}
		}
		if len(seen) != len(sizes) {
			t.Errorf("%s: %d of %d came up in 200 runs", text, len(seen), len(sizes))
		}
		if n := len(s.Choose(nil, rand.New(rand.NewPCG(1, 1)))); n != 0 {
			t.Errorf("%s of nothing is %d", text, n)
		}
	}
}

func FuzzParseSubset(f *testing.F) {
	for _, s := range []string{"1/7", "5%", "500MiB", "0/7", "1/0", "nan%", "1e400%", "-1", "9999999999999999999", "1/18446744073709551616", "1e9EiB"} {
		f.Add(s)
	}
	sizes := map[manifest.Hash]int64{{1}: 1, {2}: 1 << 40, {3}: 1<<63 - 1}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := validate.ParseSubset(text)
		if err == nil {
			s.Choose(sizes, rand.New(rand.NewPCG(1, 2)))
		}
	})
}
