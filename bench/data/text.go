package data

import (
	"math/rand/v2"
	"strings"
)

// A writer of text produces one endless text.
type text struct {
	rnd   *rand.Rand
	words []string
	rank  *rand.Zipf
	buf   []byte // written and not yet taken
	left  int    // words until the sentence ends
}

func newText(rnd *rand.Rand) *text {
	words := vocabulary()
	return &text{rnd: rnd, words: words, rank: rand.NewZipf(rnd, 1.04, 2.7, uint64(len(words)-1))}
}

// take returns the next n bytes, cut anywhere.
func (t *text) take(n int) string {
	for len(t.buf) < n {
		w := t.words[t.rank.Uint64()]
		if t.left == 0 {
			t.left = 6 + t.rnd.IntN(12)
			w = strings.ToUpper(w[:1]) + w[1:]
		}
		t.buf = append(t.buf, w...)
		if t.left--; t.left == 0 {
			t.buf = append(t.buf, '.')
		}
		t.buf = append(t.buf, ' ')
	}
	s := string(t.buf[:n])
	t.buf = t.buf[:copy(t.buf, t.buf[n:])]
	return s
}

// vocabulary returns 20,000 words with the letters of English text in about their frequency. The rank of a word
// is its place.
func vocabulary() []string {
	const letters = "eeeeeeeeeeeetttttttttaaaaaaaaoooooooiiiiiiinnnnnnnsssssshhhhhhrrrrrrddddlllluuucccmmmwwffggyyppbbvk"
	const lengths = "\x02\x03\x03\x04\x04\x04\x05\x05\x06\x06\x07\x07\x08\x09\x0a\x0c"
	rnd := random(partVocabulary, 0)
	seen := make(map[string]bool)
	var words []string
	for len(words) < 20_000 {
		w := make([]byte, lengths[rnd.IntN(len(lengths))])
		for i := range w {
			w[i] = letters[rnd.IntN(len(letters))]
		}
		if !seen[string(w)] {
			seen[string(w)] = true
			words = append(words, string(w))
		}
	}
	return words
}
