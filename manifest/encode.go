package manifest

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// marshal encodes v as one canonical line with its newline.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return plainReplacements(b.Bytes()), nil
}

// plainReplacements turns each escape \ufffd into the character. encoding/json writes the escape for bytes that
// are not UTF-8, and the character for the character, so what is read and encoded again would not be the same.
func plainReplacements(line []byte) []byte {
	const escape = `\ufffd`
	if !bytes.Contains(line, []byte(escape)) {
		return line
	}
	out := make([]byte, 0, len(line))
	for i := 0; i < len(line); {
		switch {
		case bytes.HasPrefix(line[i:], []byte(escape)):
			out = utf8.AppendRune(out, utf8.RuneError)
			i += len(escape)
		case line[i] == '\\':
			out = append(out, line[i], line[i+1])
			i += 2
		default:
			out = append(out, line[i])
			i++
		}
	}
	return out
}

// text returns s as it can stand in JSON, and its bytes when that is not the same.
func text(s string) (display string, raw []byte) {
	if utf8.ValidString(s) {
		return s, nil
	}
	return string([]rune(s)), []byte(s) // U+FFFD for each byte that is not part of a character
}

// untext undoes text. Where there are raw bytes, what is displayed does not count.
func untext(display string, raw []byte) (string, error) {
	if len(raw) == 0 {
		return display, nil
	}
	if utf8.Valid(raw) {
		return "", invalid("raw bytes of %.80q are UTF-8", display)
	}
	return string(raw), nil
}

// marshalTuple writes values as a JSON array.
func marshalTuple(values ...any) ([]byte, error) {
	b, err := marshal(values)
	return bytes.TrimSuffix(b, []byte("\n")), err
}

// unmarshalTuple reads a JSON array of exactly these values.
func unmarshalTuple(data []byte, into ...any) error {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	if len(raw) != len(into) {
		return invalid("%d values where %d belong", len(raw), len(into))
	}
	for i, v := range into {
		if err := json.Unmarshal(raw[i], v); err != nil {
			return err
		}
	}
	return nil
}

// A cursor reads arrays of integers and hashes out of valid JSON. Large files have thousands of them, and
// encoding/json would scan each several times. After an error it reads nothing.
type cursor struct {
	rest []byte
	err  error
}

// list calls element before each element of an array.
func (c *cursor) list(element func()) {
	c.expect('[')
	for first := true; c.err == nil && !c.take(']'); first = false {
		if !first {
			c.expect(',')
		}
		element()
	}
}

func (c *cursor) expect(b byte) {
	if c.err == nil && !c.take(b) {
		c.err = invalid("%.20q where %q belongs", c.rest, b)
	}
}

// take consumes b if it comes next.
func (c *cursor) take(b byte) bool {
	for len(c.rest) > 0 && (c.rest[0] == ' ' || c.rest[0] == '\t' || c.rest[0] == '\r' || c.rest[0] == '\n') {
		c.rest = c.rest[1:]
	}
	if len(c.rest) == 0 || c.rest[0] != b {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

func (c *cursor) int() int64 {
	minus := c.take('-')
	n := 0
	for n < len(c.rest) && '0' <= c.rest[n] && c.rest[n] <= '9' {
		n++
	}
	value, err := strconv.ParseInt(string(c.rest[:n]), 10, 64)
	if err != nil && c.err == nil {
		c.err = invalid("%.20q where an integer belongs", c.rest)
	}
	c.rest = c.rest[n:]
	if minus {
		return -value
	}
	return value
}

func (c *cursor) hash() Hash {
	c.expect('"')
	var h Hash
	if c.err == nil {
		end := max(0, bytes.IndexByte(c.rest, '"'))
		c.err = h.UnmarshalText(c.rest[:end])
		c.rest = c.rest[end:]
	}
	c.expect('"')
	return h
}
