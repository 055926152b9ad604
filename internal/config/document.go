package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// document returns the root of the one document in data, or nil when there is nothing but comments.
func document(data []byte) (*yaml.Node, *Problem) {
	if len(data) > MaxFile {
		return nil, &Problem{Text: fmt.Sprintf("the file has more than %d bytes", MaxFile)}
	}
	if !utf8.Valid(data) {
		return nil, &Problem{Line: lines(data[:validPrefix(data)+1]), Text: "the file is not UTF-8 text"}
	}
	var doc, second yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(data))
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, syntaxProblem(err, data)
	}
	switch err := d.Decode(&second); {
	case err == nil:
		return nil, &Problem{second.Line, second.Column, "a second document begins here; want one"}
	case !errors.Is(err, io.EOF):
		return nil, syntaxProblem(err, data)
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" && root.Value == "" {
		return nil, nil
	}
	return root, nil
}

// syntaxProblem takes the position out of the text of a syntax error, the only place where the YAML
// package has it. It counts lines from 0 in what its parser finds, from 1 in what its scanner finds,
// leaves line 0 out, and places the end of the file one line behind the last.
func syntaxProblem(err error, data []byte) *Problem {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.HasPrefix(text, "unknown anchor") {
		return &Problem{Text: "anchors and aliases (& and *) are not supported; put text with a * at its start in quotes"}
	}
	p := &Problem{Line: 1, Text: text}
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		number, message, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			p.Line, p.Text = n, message
			if strings.HasPrefix(message, "did not find expected") {
				p.Line++
			}
		}
	}
	p.Line = max(1, min(p.Line, lines(data)))
	p.Text = plainWords(p.Text, line(data, p.Line))
	return p
}

// plainWords says in other words what the YAML package says of a line that it cannot read.
func plainWords(text, line string) string {
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	switch {
	case text == "found character that cannot start any token" && strings.Contains(indent, "\t"):
		return "a tab stands here; indent with spaces"
	case text == "found character that cannot start any token":
		return "a character stands here that begins nothing in YAML; put text with @, ` or % at its start in quotes"
	case text == "mapping values are not allowed in this context":
		return "a colon stands where none is expected; check the indentation, and put text that has a colon and a space in it in quotes"
	case text == "did not find expected <document start>":
		return "this is not YAML; want lines such as app: NAME"
	case strings.HasPrefix(text, "did not find expected"), strings.HasPrefix(text, "could not find expected"):
		return "the indentation is not that of the lines above, or a bracket, quote or colon is missing (" + text + ")"
	}
	return text
}

// line returns one line of a text, counted from 1.
func line(data []byte, n int) string {
	all := strings.Split(string(data), "\n")
	return all[min(n, len(all))-1]
}

// lines counts the lines of a text as YAML does.
func lines(data []byte) int {
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(string(data))
	return strings.Count(strings.TrimSuffix(text, "\n"), "\n") + 1
}

// validPrefix returns how many bytes there are before the first that is not UTF-8.
func validPrefix(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(data)
}
