package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"lifeboat/manifest"
)

// Drill is about proving that a snapshot comes back.
type Drill struct {
	Assert []Assertion `yaml:"assert,omitempty" json:"assert,omitempty"`
}

// An Assertion is something that must hold of what was restored. It has one of SQL, JSON, File and Exec.
type Assertion struct {
	Name string   `yaml:"name,omitempty" json:"name,omitempty"`
	SQL  string   `yaml:"sql,omitempty" json:"sql,omitempty"`   // a query that returns one value
	JSON string   `yaml:"json,omitempty" json:"json,omitempty"` // a pointer (RFC 6901), such as /items/0/name
	File string   `yaml:"file,omitempty" json:"file,omitempty"` // a path in the snapshot
	Exec []string `yaml:"exec,omitempty" json:"exec,omitempty"` // a program and its arguments; a path is absolute

	In      string   `yaml:"in,omitempty" json:"in,omitempty"` // path in the snapshot of the database, or of the JSON file
	Equals  *Value   `yaml:"equals,omitempty" json:"equals,omitempty"`
	AtLeast *Value   `yaml:"at_least,omitempty" json:"at_least,omitempty"` // of a file: its size
	AtMost  *Value   `yaml:"at_most,omitempty" json:"at_most,omitempty"`
	SHA256  string   `yaml:"sha256,omitempty" json:"sha256,omitempty"`
	Absent  bool     `yaml:"absent,omitempty" json:"absent,omitempty"` // the file must not be there
	Timeout Duration `yaml:"timeout,omitempty" json:"timeout,omitzero"`
}

// Kind returns which of the four it is: sql, json, file or exec.
func (a *Assertion) Kind() string {
	switch {
	case a.SQL != "":
		return "sql"
	case a.JSON != "":
		return "json"
	case a.File != "":
		return "file"
	}
	return "exec"
}

// Title returns what to call it: its name, or what it says.
func (a *Assertion) Title() string {
	switch {
	case a.Name != "":
		return a.Name
	case a.SQL != "":
		return strings.Join(strings.Fields(a.SQL), " ")
	case a.JSON != "":
		return a.In + " " + a.JSON
	case a.File != "":
		return a.File
	}
	return strings.Join(a.Exec, " ")
}

// A Value is what is compared: a number, text, or true or false.
type Value struct {
	Kind ValueKind
	Text string // as FormatInt or FormatFloat writes it, if it is a number
}

// ValueKind tells values apart.
type ValueKind string

const (
	Number ValueKind = "number"
	Text   ValueKind = "text"
	Truth  ValueKind = "truth"
)

// NumberOf returns the value of a number.
func NumberOf(f float64) Value {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return Value{Number, strconv.FormatInt(int64(f), 10)}
	}
	return Value{Number, strconv.FormatFloat(f, 'g', -1, 64)}
}

// Float returns the value of a number, perhaps rounded.
func (v Value) Float() float64 {
	f, _ := strconv.ParseFloat(v.Text, 64)
	return f
}

func (v Value) String() string {
	if v.Kind == Text {
		return strconv.Quote(v.Text)
	}
	return v.Text
}

// plain returns the value as encoders take it.
func (v Value) plain() any {
	switch v.Kind {
	case Truth:
		return v.Text == "true"
	case Text:
		return v.Text
	}
	if n, err := strconv.ParseInt(v.Text, 10, 64); err == nil {
		return n
	}
	return v.Float()
}

// MarshalYAML writes the value as the file has it.
func (v Value) MarshalYAML() (any, error) { return v.plain(), nil }

// MarshalJSON writes the value as JSON has it.
func (v Value) MarshalJSON() ([]byte, error) { return json.Marshal(v.plain()) }

// ParseAssertions reads a file of assertions: the key assert, as in the part drill of a configuration. That there are none in it is a problem.
// The error is an [*Error].
func ParseAssertions(file string, data []byte) ([]Assertion, error) {
	root, problem := document(data)
	if problem != nil {
		return nil, &Error{File: file, Problems: []Problem{*problem}}
	}
	p := &parser{reader: &reader{}, dir: filepath.Dir(file), config: Default()}
	if root != nil {
		p.drill(root)
	}
	if len(p.problems) == 0 && len(p.config.Drill.Assert) == 0 {
		p.problems = append(p.problems, Problem{1, 0, "there are no assertions in it; want assert: and a list"})
	}
	if len(p.problems) > 0 {
		return nil, &Error{File: file, Problems: sorted(p.problems)}
	}
	return p.config.Drill.Assert, nil
}

func (p *parser) drill(n *yaml.Node) {
	p.mapping(n, "drill", field{"assert", p.list("assert", p.assertion)})
}

// belongs says to which kinds of assertions a key belongs.
var belongs = map[string]string{
	"in": "sql json", "equals": "sql json", "at_least": "sql json file", "at_most": "sql json file",
	"sha256": "file", "absent": "file", "timeout": "sql exec",
}

func (p *parser) assertion(n *yaml.Node) {
	var a Assertion
	before := len(p.problems)
	at := p.mapping(n, "an assertion",
		field{"name", p.text("name", &a.Name)},
		field{"sql", p.lines("sql", &a.SQL)},
		field{"json", p.text("json", &a.JSON)},
		field{"file", p.inside("file", &a.File)},
		field{"exec", p.program(&a.Exec)},
		field{"in", p.inside("in", &a.In)},
		field{"equals", p.value("equals", &a.Equals)},
		field{"at_least", p.value("at_least", &a.AtLeast)},
		field{"at_most", p.value("at_most", &a.AtMost)},
		field{"sha256", p.text("sha256", &a.SHA256)},
		field{"absent", p.boolean("absent", &a.Absent)},
		field{"timeout", quantity(p.reader, "timeout", parseTimeout, &a.Timeout)},
	)
	if len(p.problems) > before {
		return
	}
	var kinds []string
	for _, k := range []string{"sql", "json", "file", "exec"} {
		if at[k] != nil {
			kinds = append(kinds, k)
		}
	}
	if len(kinds) != 1 {
		p.fail(n, "an assertion has one of sql, json, file and exec; this one has %s", cmp.Or(strings.Join(kinds, " and "), "none"))
		return
	}
	for key, of := range belongs {
		if at[key] != nil && !strings.Contains(of, kinds[0]) {
			p.fail(at[key], "%s does not belong to %s", key, kinds[0])
		}
	}
	if kinds[0] != "exec" && at[kinds[0]].Value == "" {
		p.fail(at[kinds[0]], "%s is empty", kinds[0])
	}
	if len(p.problems) == before {
		p.complete(n, at, &a)
	}
	if len(p.problems) == before {
		p.config.Drill.Assert = append(p.config.Drill.Assert, a)
	}
}

// complete looks at how the keys of an assertion fit together.
func (p *parser) complete(n *yaml.Node, at map[string]*yaml.Node, a *Assertion) {
	kind := a.Kind()
	if kind == "sql" || kind == "json" {
		p.required(n, at, "in", a.In)
	}
	switch {
	case kind == "json" && !strings.HasPrefix(a.JSON, "/"):
		p.fail(at["json"], "json is a pointer, and begins with /, as in /items/0/name")
	case kind == "sql" && a.Equals == nil && a.AtLeast == nil && a.AtMost == nil:
		p.fail(n, "nothing says what the query must return; add equals, at_least or at_most")
	case a.Equals != nil && (a.AtLeast != nil || a.AtMost != nil):
		p.fail(at["equals"], "equals does not go together with at_least and at_most")
	case a.AtLeast != nil && a.AtMost != nil && (a.AtLeast.Kind != a.AtMost.Kind || less(*a.AtMost, *a.AtLeast)):
		p.fail(at["at_most"], "nothing is at least %s and at most %s", a.AtLeast, a.AtMost)
	case a.AtLeast != nil && a.AtLeast.Kind == Truth:
		p.fail(at["at_least"], "true and false have no order; use equals")
	case a.AtMost != nil && a.AtMost.Kind == Truth:
		p.fail(at["at_most"], "true and false have no order; use equals")
	case a.Absent && (a.SHA256 != "" || a.AtLeast != nil || a.AtMost != nil):
		p.fail(at["absent"], "what is absent has neither size nor sha256")
	}
	if kind != "file" {
		return
	}
	if _, err := manifest.ParseHash(a.SHA256); a.SHA256 != "" && err != nil {
		p.fail(at["sha256"], "sha256: want 64 digits, 0-9 and a-f")
	}
	for key, v := range map[string]*Value{"at_least": a.AtLeast, "at_most": a.AtMost} {
		if v == nil || v.Kind == Number && v.Float() >= 0 {
			continue
		}
		if size, err := ParseSize(v.Text); err == nil && v.Kind == Text {
			*v = NumberOf(float64(size))
		} else {
			p.fail(at[key], "%s: want a size in bytes, or such as 1MiB", key)
		}
	}
}

// less compares values of one kind; texts byte by byte.
func less(a, b Value) bool {
	if a.Kind == Number {
		return a.Float() < b.Float()
	}
	return a.Text < b.Text
}

// lines reads text that may have several lines.
func (r *reader) lines(what string, dst *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		flat := *n
		flat.Value = strings.NewReplacer("\n", " ", "\t", " ").Replace(n.Value)
		var checked string
		if r.text(what, &checked)(&flat); checked != "" {
			*dst = strings.TrimSpace(n.Value)
		}
	}
}

// inside reads a path in a snapshot.
func (r *reader) inside(what string, dst *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		var path string
		r.text(what, &path)(n)
		if path != "" && (!fs.ValidPath(path) || path == ".") {
			r.fail(n, "%s: want a path in the snapshot, source first, as in data/app.sqlite", what)
			return
		}
		*dst = path
	}
}

// program reads a program and its arguments. One that is a path is taken from the directory of the file.
func (p *parser) program(dst *[]string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
			p.fail(n, "exec is empty; want a program and its arguments, as in [./check.sh, --fast]")
			return
		}
		p.list("exec", func(item *yaml.Node) {
			var word string
			p.text("an item of exec", &word)(item)
			if len(*dst) == 0 && word == "" {
				p.fail(item, "exec names no program")
			}
			if len(*dst) == 0 && strings.ContainsAny(word, `/\`) {
				word = p.path(item, word)
			}
			*dst = append(*dst, word)
		})(n)
	}
}

// value reads a number, text, or true or false.
func (r *reader) value(what string, dst **Value) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode {
			r.fail(n, "%s is %s, want a number, text, or true or false", what, kindOf(n))
			return
		}
		switch n.ShortTag() {
		case "!!int", "!!float":
			v, ok := parseNumber(n.Value)
			if !ok {
				r.fail(n, "%s: want a number in decimal digits, such as 3 or 0.5", what)
				return
			}
			*dst = &v
		case "!!bool":
			*dst = &Value{Truth, strconv.FormatBool(strings.EqualFold(n.Value, "true"))}
		default:
			text := ""
			before := len(r.problems)
			if r.text(what, &text)(n); len(r.problems) == before {
				*dst = &Value{Text, text}
			}
		}
	}
}

func parseNumber(text string) (Value, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return Value{Number, strconv.FormatInt(n, 10)}, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) || strings.ContainsFunc(text, func(c rune) bool { return c == '_' || unicode.IsLetter(c) && c != 'e' && c != 'E' }) {
		return Value{}, false
	}
	return NumberOf(f), true
}

// Check reports why a value is not what an assertion asks for, or "".
func (a *Assertion) Check(got Value) string {
	same := func(want Value) bool {
		return got.Kind == want.Kind && (got.Text == want.Text || got.Kind == Number && got.Float() == want.Float() && !exact(got, want))
	}
	switch {
	case a.Equals != nil && !same(*a.Equals):
		return fmt.Sprintf("it is %s, want %s", got, a.Equals)
	case a.AtLeast != nil && (got.Kind != a.AtLeast.Kind || less(got, *a.AtLeast)):
		return fmt.Sprintf("it is %s, want at least %s", got, a.AtLeast)
	case a.AtMost != nil && (got.Kind != a.AtMost.Kind || less(*a.AtMost, got)):
		return fmt.Sprintf("it is %s, want at most %s", got, a.AtMost)
	}
	return ""
}

// exact reports that two numbers are integers, which differ if their texts do, though they may be the same when rounded.
func exact(a, b Value) bool {
	_, errA := strconv.ParseInt(a.Text, 10, 64)
	_, errB := strconv.ParseInt(b.Text, 10, 64)
	return errA == nil && errB == nil
}
