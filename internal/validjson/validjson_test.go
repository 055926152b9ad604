package validjson_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"lifeboat/internal/validjson"
)

var seeds = []string{
	``, ` `, `null`, `true`, `false`, `nul`, `truex`, `0`, `-0`, `-`, `01`, `1.`, `1.5`, `.5`, `1e5`, `1E+5`, `1e-`, `1e`, `-1.25e-3 `, `1 2`, `+1`, `--1`,
	`""`, `"`, `"a`, `"\`, `"\"`, `"\""`, `"\u12aF"`, `"\u12a"`, `"\u12ag"`, `"\u12`, `"\x"`, "\"\x1f\"", "\"\x7f\x80\xff\"", "\"\t\"", `"ÄÖ€😀"`, `"\/\b\f\n\r\t\\"`,
	`{}`, `{ }`, `[]`, `[ ]`, `[,]`, `[1,]`, `[1 2]`, `[1,2 , 3]`, `[[],[[]]]`, `[}`, `{]`, `[1}`, `{"a":1]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1 "b":2}`, `{a:1}`, `{1:1}`,
	`{"a":1,"b":[true,{"c":null}]}`, ` { "a" : 1 , "b" : [ ] } `, `{"a":1}{`, `{"a":1}}`, `]`, `}`, `:`, `,`, "\ufeff{}", "{}\x00", `"12345678"`, `"1234567"`, `"123456789\n12345678"`,
	strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001), strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200),
}

func check(t *testing.T, data []byte) {
	t.Helper()
	if got, want := validjson.Valid(data), json.Valid(data); got != want {
		t.Errorf("%.200q: %t, and encoding/json says %t", data, got, want)
	}
}

// It says what encoding/json says, also of text that is cut at any place, and with any byte in any place.
func TestValid(t *testing.T) {
	for _, s := range seeds {
		check(t, []byte(s))
		if len(s) > 100 {
			continue
		}
		for i := range len(s) {
			check(t, []byte(s[:i]))
			check(t, []byte(s[i:]))
			for c := range 256 {
				b := []byte(s)
				b[i] = byte(c)
				check(t, b)
			}
		}
	}
}

// Each byte counts at each place of the eight that are looked at together.
func TestWords(t *testing.T) {
	for n := range 20 {
		for i := range n {
			for c := range 256 {
				b := []byte(`"` + strings.Repeat("x", n) + `"`)
				b[1+i] = byte(c)
				check(t, b)
				b[1+(i+1)%n] = byte(c ^ 1) // a borrow must not reach the next
				check(t, b)
			}
		}
	}
}

func FuzzValid(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { check(t, data) })
}

func BenchmarkValid(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	var data []byte
	for i := 0; len(data) < 6000; i++ {
		data = fmt.Appendf(data, `,{"key":"%08x","n":%d,"text":"%s"}`, random.Uint32(), random.IntN(100_000), strings.Repeat("words of some length ", 1+random.IntN(40)))
	}
	data[0] = '['
	data = append(data, ']')
	for name, valid := range map[string]func([]byte) bool{"validjson": validjson.Valid, "encoding-json": json.Valid} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if !valid(data) {
					b.Fatal("it is valid")
				}
			}
		})
	}
}
