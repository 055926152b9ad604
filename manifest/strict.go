package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"unicode/utf8"
)

// Bounds on the shape of JSON, so that a small text cannot cost much memory or time.
const (
	maxDepth   = 16      // what the format uses is 5 deep
	maxKeys    = 64      // in one object; what the format uses is 20
	maxObjects = 1 << 16 // in one text; a head has an object or two for each source, and one for each root
)

// Unmarshal decodes a JSON object of a store by the rules that hold for all of them; what breaks one is ErrInvalid.
func Unmarshal(data []byte, v any) error { return unmarshal(data, v) }

// unmarshal decodes one JSON value strictly. encoding/json alone takes "SIZE" for "size", the last of two equal keys, null for
// any value, and U+FFFD for half a surrogate pair or invalid UTF-8; two readers could then see two different snapshots in
// the same bytes.
func unmarshal(data []byte, v any) error {
	if !utf8.Valid(data) {
		return invalid("text is not UTF-8")
	}
	if err := checkShape(data); err != nil {
		return err
	}
	err := json.Unmarshal(data, v)
	if err == nil || errors.Is(err, ErrInvalid) {
		return err
	}
	return invalid("%.300v", err)
}

// checkShape walks JSON and refuses keys that are not plain lower case, keys that occur twice in one object,
// null, numbers that are not integers, text that is not Unicode, and shapes beyond the bounds. What is no
// JSON at all may pass; json.Unmarshal refuses that.
func checkShape(data []byte) error {
	type level struct {
		object, wantKey bool
		keys            int // where its keys begin
	}
	var stack [maxDepth]level
	var keys [][]byte
	depth, objects := 0, 0
	for i := 0; i < len(data); i++ {
		switch c := data[i]; c {
		case '{', '[':
			if depth == maxDepth {
				return invalid("nested more than %d deep", maxDepth)
			}
			if c == '{' {
				objects++
			}
			if objects > maxObjects {
				return invalid("more than %d objects", maxObjects)
			}
			stack[depth] = level{c == '{', c == '{', len(keys)}
			depth++
		case '}', ']':
			if depth == 0 {
				return invalid("text is not JSON")
			}
			depth--
			keys = keys[:stack[depth].keys]
		case ',':
			if depth > 0 {
				stack[depth-1].wantKey = stack[depth-1].object
			}
		case '"':
			n, err := stringLen(data[i+1:])
			if err != nil {
				return err
			}
			if depth > 0 && stack[depth-1].wantKey {
				top := &stack[depth-1]
				key := data[i+1 : i+1+n]
				if err := checkKey(key, keys[top.keys:]); err != nil {
					return err
				}
				keys = append(keys, key)
				top.wantKey = false
			}
			i += n + 1
		case 'n':
			return invalid("null is no value")
		case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			n := 1 + len(data[i+1:]) - len(bytes.TrimLeft(data[i+1:], "0123456789+-.eE"))
			if number := data[i : i+n]; bytes.ContainsAny(number, ".eE") || string(number) == "-0" {
				return invalid("number %.40s is not written as an integer", number)
			}
			i += n - 1
		}
	}
	return nil
}

func checkKey(key []byte, before [][]byte) error {
	switch {
	case !plainKey(key):
		return invalid("key %.80q: want lower-case letters, digits and '_'", key)
	case len(before) == maxKeys:
		return invalid("key %.80q: more than %d in one object", key, maxKeys)
	case slices.ContainsFunc(before, func(k []byte) bool { return bytes.Equal(k, key) }):
		return invalid("key %.80q occurs twice", key)
	}
	return nil
}

func plainKey(key []byte) bool {
	for _, c := range key {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_') {
			return false
		}
	}
	return len(key) > 0
}

// stringLen returns how long the JSON string at the beginning of data is, its closing quote not counted.
func stringLen(data []byte) (int, error) {
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			return i, nil
		case '\\':
			n, err := escapeLen(data[i:])
			if err != nil {
				return 0, err
			}
			i += n - 1
		}
	}
	return 0, invalid("text is not JSON")
}

// escapeLen returns how long the escape at the beginning of data is. Half a surrogate pair stands for no character.
func escapeLen(data []byte) (int, error) {
	switch {
	case isEscape(data, "89abAB"):
		if !isEscape(data[6:], "cdefCDEF") {
			return 0, invalid("%s is half a character", data[:6])
		}
		return 12, nil
	case isEscape(data, "cdefCDEF"):
		return 0, invalid("%s is half a character", data[:6])
	}
	return 2, nil
}

// isEscape reports whether data begins with \uDx.., where x is one of those digits.
func isEscape(data []byte, x string) bool {
	return len(data) >= 6 && data[0] == '\\' && data[1] == 'u' && data[2]|0x20 == 'd' && bytes.IndexByte([]byte(x), data[3]) >= 0
}
