package remote

import (
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf8"

	"lifeboat/internal/durable"
)

// Limits of a key. S3 allows 1,024 bytes for the prefix and the key together, and file systems 255
// for a name.
const (
	maxKey       = 512
	maxPrefix    = 500
	maxComponent = 255
)

// checkKey refuses what is not a key in the sense of Store.
func checkKey(key string) error {
	why := ""
	switch {
	case key == "":
		why = "is empty"
	case len(key) > maxKey:
		why = fmt.Sprintf("is longer than %d bytes", maxKey)
	case !utf8.ValidString(key):
		why = "is not UTF-8"
	case strings.ContainsFunc(key, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\\' }):
		why = "has a control character or a backslash"
	default:
		why = checkComponents(key)
	}
	if why == "" {
		return nil
	}
	return fmt.Errorf("key %.100q %s: %w", key, why, fs.ErrInvalid)
}

func checkComponents(key string) string {
	for c := range strings.SplitSeq(key, "/") {
		switch {
		case c == "":
			return "has an empty component"
		case c == "." || c == "..":
			return "has a component that is . or .."
		case len(c) > maxComponent:
			return fmt.Sprintf("has a component longer than %d bytes", maxComponent)
		case strings.HasPrefix(c, durable.TempPrefix):
			return "has a component that begins like a temporary file"
		}
	}
	return ""
}

// checkListPrefix refuses what no key can begin with: such a prefix is a mistake, not an empty result.
func checkListPrefix(prefix string) error {
	if prefix != "" && checkKey(prefix) == nil {
		return nil
	}
	if err := checkKey(prefix + "x"); err != nil {
		return fmt.Errorf("prefix %.100q can begin no key: %w", prefix, fs.ErrInvalid)
	}
	return nil
}
