package manifest

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// maxDepth bounds the nesting of JSON in a manifest; what the format uses is 5 deep.
const maxDepth = 16

// unmarshal decodes one JSON value strictly. encoding/json alone takes "SIZE" for "size", the last of two
// equal keys, null for any value, and invalid UTF-8 for U+FFFD; two readers could then see two different snapshots in the same bytes.
func unmarshal(data []byte, v any) error {
	if !utf8.Valid(data) {
		return invalid("text is not UTF-8")
	}
	if !json.Valid(data) {
		return invalid("text is not JSON")
	}
	if err := checkKeys(data); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return invalid("%v", err)
	}
	return nil
}

// checkKeys walks valid JSON and refuses keys that are not plain lower case, keys that occur twice in
// one object, and null.
func checkKeys(data []byte) error {
	type level struct {
		object  bool
		wantKey bool
		keys    [][]byte
	}
	var stack []level
	for i := 0; i < len(data); i++ {
		switch c := data[i]; c {
		case '{', '[':
			if len(stack) == maxDepth {
				return invalid("nested more than %d deep", maxDepth)
			}
			stack = append(stack, level{object: c == '{', wantKey: c == '{'})
		case '}', ']':
			stack = stack[:len(stack)-1]
		case ',':
			stack[len(stack)-1].wantKey = stack[len(stack)-1].object
		case '"':
			end := stringEnd(data, i)
			if n := len(stack); n > 0 && stack[n-1].wantKey {
				top := &stack[n-1]
				key := data[i+1 : end]
				if !plainKey(key) {
					return invalid("key %q: want lower-case letters, digits and '_'", key)
				}
				for _, k := range top.keys {
					if bytes.Equal(k, key) {
						return invalid("key %q occurs twice", key)
					}
				}
				top.keys = append(top.keys, key)
				top.wantKey = false
			}
			i = end
		case 'n':
			return invalid("null is no value")
		}
	}
	return nil
}

// stringEnd returns the index of the quote that ends the string which begins at data[start].
func stringEnd(data []byte, start int) int {
	i := start + 1
	for ; data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return i
}

func plainKey(key []byte) bool {
	for _, c := range key {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_') {
			return false
		}
	}
	return len(key) > 0
}

// marshal encodes v as one canonical line with its newline.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
