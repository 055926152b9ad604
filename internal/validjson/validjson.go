// Package validjson tells whether text is JSON, as encoding/json.Valid does, but several times as fast: many files of an application are JSON,
// and all of them are looked at in each first backup.
package validjson

import (
	"encoding/binary"
	"math/bits"
)

// maxDepth is how deep values may be nested: as encoding/json has it.
const maxDepth = 10_000

// Valid reports whether data is one JSON value, with white space around it. Bytes of strings need not be UTF-8.
func Valid(data []byte) bool {
	var room [64]byte
	open := room[:0] // '{' or '[' of each value that is not at its end
	i := space(data, 0)
value:
	for {
		if i == len(data) {
			return false
		}
		switch c := data[i]; {
		case c == '"':
			if i = text(data, i+1); i < 0 {
				return false
			}
		case c == '{' || c == '[':
			if len(open) == maxDepth {
				return false
			}
			open = append(open, c)
			if i = space(data, i+1); i == len(data) {
				return false
			}
			if data[i] == c+2 { // the closing bracket of either
				break
			}
			if c == '{' {
				if i = key(data, i); i < 0 {
					return false
				}
			}
			continue value
		case c == '-' || '0' <= c && c <= '9':
			if i = number(data, i); i < 0 {
				return false
			}
		case c == 't':
			if i = word(data, i, "true"); i < 0 {
				return false
			}
		case c == 'f':
			if i = word(data, i, "false"); i < 0 {
				return false
			}
		case c == 'n':
			if i = word(data, i, "null"); i < 0 {
				return false
			}
		default:
			return false
		}
		for { // what follows a value
			i = space(data, i)
			if len(open) == 0 {
				return i == len(data)
			}
			if i == len(data) {
				return false
			}
			in := open[len(open)-1]
			if data[i] == in+2 {
				open = open[:len(open)-1]
				i++
				continue
			}
			if data[i] != ',' {
				return false
			}
			i = space(data, i+1)
			if in == '{' {
				if i = key(data, i); i < 0 {
					return false
				}
			}
			continue value
		}
	}
}

// The functions below go on at i, and return where what they are for has ended; but for space, -1 if it is something else.

func space(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\t' || data[i] == '\r') {
		i++
	}
	return i
}

// key passes over a key, the colon, and the space around it.
func key(data []byte, i int) int {
	if i == len(data) || data[i] != '"' {
		return -1
	}
	if i = text(data, i+1); i < 0 {
		return -1
	}
	if i = space(data, i); i == len(data) || data[i] != ':' {
		return -1
	}
	return space(data, i+1)
}

// text passes over the rest of a string, behind its first quote.
func text(data []byte, i int) int {
	for {
		i = plain(data, i)
		if i == len(data) {
			return -1
		}
		switch data[i] {
		case '"':
			return i + 1
		case '\\':
			if i+1 == len(data) {
				return -1
			}
			switch data[i+1] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				i += 2
			case 'u':
				if len(data)-i < 6 || !hex(data[i+2]) || !hex(data[i+3]) || !hex(data[i+4]) || !hex(data[i+5]) {
					return -1
				}
				i += 6
			default:
				return -1
			}
		default: // a control character
			return -1
		}
	}
}

// plain passes over bytes that stand for themselves in a string, eight at a time: to the next quote, backslash or control character.
func plain(data []byte, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(data); i += 8 {
		b := binary.LittleEndian.Uint64(data[i:])
		quote, escape := b^('"'*ones), b^('\\'*ones)
		// A byte is less than n <= 128 where b - n borrows and b has no top bit; the lowest such mark is never false.
		found := ((quote-ones)&^quote | (escape-ones)&^escape | (b-' '*ones)&^b) & tops
		if found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(data) && data[i] != '"' && data[i] != '\\' && data[i] >= ' ' {
		i++
	}
	return i
}

func hex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func word(data []byte, i int, want string) int {
	if len(data)-i < len(want) || string(data[i:i+len(want)]) != want {
		return -1
	}
	return i + len(want)
}

func number(data []byte, i int) int {
	if data[i] == '-' {
		i++
	}
	switch {
	case i == len(data):
		return -1
	case data[i] == '0':
		i++
	default:
		if i = digits(data, i); i < 0 {
			return -1
		}
	}
	if i < len(data) && data[i] == '.' {
		if i = digits(data, i+1); i < 0 {
			return -1
		}
	}
	if i < len(data) && data[i]|0x20 == 'e' {
		if i++; i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		return digits(data, i)
	}
	return i
}

// digits passes over one digit or more.
func digits(data []byte, i int) int {
	from := i
	for i < len(data) && '0' <= data[i] && data[i] <= '9' {
		i++
	}
	if i == from {
		return -1
	}
	return i
}
