package snapshot

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Patterns mean what they mean in a .gitignore, relative to the root of the source:
//
//   - one without a slash is matched with the name of an entry, at any depth; one with a slash, at the beginning or inside, with its path
//   - a slash at the end matches directories alone
//   - "!" before it takes back in what an earlier pattern left out; the last pattern that matches decides
//   - what lies below a directory that is left out is not looked at, so nothing of it can be taken back in
//   - "*" and "?" stand for anything but a slash, "[a-z]" and "[!a-z]" for one character, "**" between slashes for any
//     number of directories; "dir/**" means what is in dir, and not dir itself
//   - "\" takes the meaning from the character that follows
//   - upper and lower case are two things, on every system
//
// Beyond that, "{a,b}" stands for a or b.
type pattern struct {
	glob     string
	negated  bool
	dirsOnly bool
	anchored bool // matched with the path
}

// CheckExclude reports a pattern that can match nothing.
func CheckExclude(text string) error {
	if _, err := parsePattern(text); err != nil {
		return fmt.Errorf("exclude pattern %q: %w", text, err)
	}
	return nil
}

func parsePattern(text string) (pattern, error) {
	var p pattern
	rest := text
	if strings.HasPrefix(rest, "!") {
		p.negated, rest = true, rest[1:]
	}
	if cut := strings.TrimRight(rest, "/"); cut != rest {
		p.dirsOnly, rest = true, cut
	}
	if strings.Contains(rest, "/") {
		p.anchored, rest = true, strings.TrimPrefix(rest, "/")
	}
	if rest == "" {
		return p, errors.New("it is empty")
	}
	for part := range strings.SplitSeq(rest, "/") {
		if part == "" || part == "." || part == ".." {
			return p, fmt.Errorf("no path has an element %q; patterns are relative to the source, as in /cache/*.tmp", part)
		}
	}
	if strings.Contains(rest, "[:") {
		return p, errors.New("classes such as [:space:] are not supported")
	}
	if !doublestar.ValidatePattern(rest) {
		return p, errors.New("it is malformed")
	}
	// A bare "**" at the end would match the directory before it too.
	if p.anchored && (rest == "**" || strings.HasSuffix(rest, "/**")) {
		rest += "/*"
	}
	p.glob = rest
	return p, nil
}

// ParseExcludes reads the text of a file of patterns, one a line. Empty lines and those that begin with "#" say nothing, and
// spaces at the end do not count unless a backslash stands before them.
func ParseExcludes(text string) (patterns []string, err error) {
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		n++
		line = strings.TrimRight(line, "\r\n")
		for cut := line; strings.HasSuffix(cut, " ") && !strings.HasSuffix(cut, `\ `); line = cut {
			cut = strings.TrimSuffix(cut, " ")
		}
		if line == "" || line[0] == '#' {
			continue
		}
		if err := CheckExclude(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		patterns = append(patterns, line)
	}
	return patterns, nil
}

// excludes decides what of a source is left out on purpose.
type excludes struct{ patterns []pattern }

func newExcludes(texts []string) (*excludes, error) {
	x := &excludes{}
	for _, text := range texts {
		p, err := parsePattern(text)
		if err != nil {
			return nil, fmt.Errorf("exclude pattern %q: %w", text, err)
		}
		x.patterns = append(x.patterns, p)
	}
	return x, nil
}

// match reports whether the patterns leave out a path below the source's root, with slashes.
func (x *excludes) match(rel string, dir bool) bool {
	name := path.Base(rel)
	for i := len(x.patterns) - 1; i >= 0; i-- {
		p := x.patterns[i]
		if p.dirsOnly && !dir {
			continue
		}
		subject := name
		if p.anchored {
			subject = rel
		}
		if ok, err := doublestar.Match(p.glob, subject); err == nil && ok {
			return !p.negated
		}
	}
	return false
}

// A directory with a file of this name, which begins with this, is a cache: https://bford.info/cachedir/.
const (
	cacheTag       = "CACHEDIR.TAG"
	cacheSignature = "Signature: 8a477f597d28d172789f06886806bc55"
)

// isCache reports whether a directory is tagged as a cache.
func isCache(dir *os.Root) bool {
	fi, err := dir.Lstat(cacheTag)
	if err != nil || !fi.Mode().IsRegular() {
		return false
	}
	f, _, err := openSame(dir, cacheTag, sight{FileInfo: fi})
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(cacheSignature))
	n, _ := f.ReadAt(head, 0)
	return string(head[:n]) == cacheSignature
}
