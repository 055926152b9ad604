package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// reader walks the nodes of a document, fills in values and collects problems. A value that is refused
// leaves its destination as it was, so that the walk can go on.
type reader struct {
	problems []Problem
}

// field is one key that a mapping may have, and what reads its value.
type field struct {
	key  string
	read func(*yaml.Node)
}

// fail records a problem at a node.
func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.problems = append(r.problems, Problem{n.Line, n.Column, fmt.Sprintf(format, args...)})
}

// mapping reads a mapping and returns the value of each known key that it has, so that the caller can
// see what is missing and say where a value stands.
func (r *reader) mapping(n *yaml.Node, what string, fields ...field) map[string]*yaml.Node {
	at := map[string]*yaml.Node{}
	if !r.plain(n, what) {
		return at
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s is %s, want keys and values", what, kindOf(n))
		return at
	}
	first := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Anchor != "" {
			r.fail(key, "a key of %s is not a plain word", what)
			continue
		}
		if seen := first[key.Value]; seen != nil {
			r.fail(key, "key %q is already at line %d", key.Value, seen.Line)
			continue
		}
		first[key.Value] = key
		if read := r.find(key, fields); read != nil {
			at[key.Value] = value
			if r.plain(value, key.Value) {
				read(value)
			}
		}
	}
	return at
}

// find returns what reads the value of a key; for an unknown key it records the problem.
func (r *reader) find(key *yaml.Node, fields []field) func(*yaml.Node) {
	known := make([]string, len(fields))
	for i, f := range fields {
		if f.key == key.Value {
			return f.read
		}
		known[i] = f.key
	}
	if meant := suggest(key.Value, known); meant != "" {
		r.fail(key, "unknown key %q; did you mean %q?", key.Value, meant)
	} else {
		r.fail(key, "unknown key %q; there are %s", key.Value, strings.Join(known, ", "))
	}
	return nil
}

// list reads a sequence, each item by read.
func (r *reader) list(what string, read func(*yaml.Node)) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.SequenceNode {
			r.fail(n, "%s is %s, want a list", what, kindOf(n))
			return
		}
		for _, item := range n.Content {
			if r.plain(item, "an item of "+what) {
				read(item)
			}
		}
	}
}

// text reads a string that is fit to be shown: without control characters.
func (r *reader) text(what string, dst *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		switch {
		case n.Kind != yaml.ScalarNode:
			r.fail(n, "%s is %s, want text", what, kindOf(n))
		case n.ShortTag() != "!!str":
			r.fail(n, "%s is %s, want text: put it in quotes", what, kindOf(n))
		case strings.ContainsFunc(n.Value, unicode.IsControl):
			r.fail(n, "%s has a control character", what)
		default:
			*dst = n.Value
		}
	}
}

// boolean reads true or false.
func (r *reader) boolean(what string, dst *bool) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
			r.fail(n, "%s is %s, want true or false", what, kindOf(n))
			return
		}
		*dst = strings.EqualFold(n.Value, "true")
	}
}

// count reads a whole number that is not negative.
func (r *reader) count(what string, dst *int) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" {
			r.fail(n, "%s is %s, want a whole number", what, kindOf(n))
			return
		}
		v, err := strconv.ParseUint(n.Value, 10, 31)
		if err != nil {
			r.fail(n, "%s: want a whole number from 0 on, in decimal digits", what)
			return
		}
		*dst = int(v)
	}
}

// plain reports whether a node has a value of its own, and records the problem otherwise. Aliases are
// refused because the few lines they save are not worth a file that says something elsewhere than where
// it is read.
func (r *reader) plain(n *yaml.Node, what string) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.fail(n, "%s: anchors and aliases (& and *) are not supported", what)
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		r.fail(n, "%s has no value: give one or leave the key out", what)
	default:
		return true
	}
	return false
}

// kindOf names the type of a value in words.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a group of keys"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!str":
		return "text"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!timestamp":
		return "a date"
	}
	return "of another type"
}
