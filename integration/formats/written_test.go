package formats_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/zst"
)

// seen is what was met of the tables of docs/format.md: "head.app", "kind: backup", "extent", names of objects and members.
type seen map[string]bool

// What the golden stores hold is what the tables say, and all of what the tables say is in some golden store.
func TestGoldenStoresKeepTheTables(t *testing.T) {
	spec := readSpecification(t)
	met := seen{}
	for _, g := range goldens {
		checkStore(t, spec, filepath.Join(fixtures, g.name, "store"), met)
	}
	var want []string
	for object, fields := range spec.objects {
		for _, f := range fields {
			want = append(want, object+"."+f.key)
		}
	}
	for list := range spec.lists {
		want = append(want, list)
	}
	for typ, values := range spec.values {
		for _, v := range values.list {
			if values.closed {
				want = append(want, typ+": "+v)
			}
		}
	}
	want = slices.Concat(want, spec.names, spec.members)
	for _, what := range want {
		if !met[what] {
			t.Errorf("no golden store has %s", what)
		}
	}
}

// What today's program writes, from the first snapshot on, is what the tables say.
func TestWhatIsWrittenKeepsTheTables(t *testing.T) {
	m := newMachine(t)
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(m.path(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(m.path(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	big := strings.Repeat("a line of a file that has parts\n", 40000)
	write("data/big.txt", big)
	write("data/empty", "")
	write("data/bad.json", "{")
	write("config.json", "{}")
	if err := os.Link(m.path("data/big.txt"), m.path("data/again.txt")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("big.txt", m.path("data/link")); err != nil && runtime.GOOS != "windows" { // where few users may make one
		t.Fatal(err)
	}
	db := sampleDatabase(t, m.path("app.sqlite"))
	args := []string{"backup", "--app", "ledger", "--remote", m.path("store"), "data", "config=config.json", "db=app.sqlite"}
	m.run(0, args...)
	write("data/big.txt", big[:600000]+"changed"+big[600007:])
	db("UPDATE entry SET n = n + 1 WHERE n % 50 = 0")
	m.run(0, args...)
	m.run(0, "pin", "latest", "--remote", m.path("store"), "--app", "ledger")
	met := seen{}
	checkStore(t, readSpecification(t), m.path("store"), met)
	for _, what := range []string{"head.previous", "line.link", "line.links", "sqlite.tables", "problem.kind", "pins/<stamp>-<sha256>", ".lifeboat/parts/<path>/<offset>"} {
		if !met[what] {
			t.Errorf("%s was not written", what)
		}
	}
}

// checkStore holds every object of a store to the tables.
func checkStore(t testing.TB, spec *specification, dir string, met seen) {
	t.Helper()
	c := &checker{t: t, spec: spec, met: met}
	names := patterns(spec.names)
	for key := range digests(t, dir) {
		c.at = filepath.Base(filepath.Dir(dir)) + "/" + key
		form := names.find(key)
		if form == "" {
			c.errorf("docs/format.md has no object of this name")
		}
		met[form] = true
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(key)))
		if err != nil {
			t.Fatal(err)
		}
		if m := regexp.MustCompile(`([0-9a-f]{64})\.(tar\.zst|json\.zst|json)$`).FindStringSubmatch(key); m != nil && hexSum(data) != m[1] {
			c.errorf("its SHA-256 is not its name")
		}
		switch {
		case key == "lifeboat.json":
			c.object("marker", bytes.TrimSuffix(data, []byte("\n")))
		case strings.HasPrefix(key, "manifests/"), strings.HasPrefix(key, "removed/"):
			c.object("head", decode(t, data))
		case strings.HasPrefix(key, "drills/"):
			c.object("record", bytes.TrimSuffix(data, []byte("\n")))
		case strings.HasPrefix(key, "archives/"):
			c.archive(decodeFrames(t, data))
		case strings.HasPrefix(key, "pins/") && len(data) > 0, strings.HasPrefix(key, "pruning/") && len(data) > 0 && string(data) != "ended\n":
			c.errorf("it holds %q", data)
		}
	}
}

type checker struct {
	t    testing.TB
	spec *specification
	met  seen
	at   string
}

func (c *checker) errorf(format string, args ...any) {
	c.t.Helper()
	c.t.Errorf("%s: %s", c.at, fmt.Sprintf(format, args...))
}

// archive reads an archive as tar does, and holds its members, tables and chunk index to the specification.
func (c *checker) archive(stream []byte) {
	c.t.Helper()
	members := patterns(c.spec.members)
	whole := bytes.NewReader(stream)
	var index []byte // with the record of each member before it taken off
	var records [][]byte
	for r := tar.NewReader(whole); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		var data []byte
		if err == nil {
			data, err = io.ReadAll(r)
		}
		if err != nil {
			c.errorf("%v", err)
			return
		}
		end, _ := whole.Seek(0, io.SeekCurrent)
		form := members.find(h.Name)
		c.met[form] = true
		if index != nil || strings.HasPrefix(h.Name, ".lifeboat/") && form == "<path>" {
			c.errorf("docs/format.md has no member %q here", h.Name)
		}
		if h.Mode != 0o644 || h.Uid != 0 || h.Gid != 0 || !h.ModTime.Equal(time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)) {
			c.errorf("member %q: its header has %o, %d, %d, %v", h.Name, h.Mode, h.Uid, h.Gid, h.ModTime)
		}
		switch form {
		case ".lifeboat/chunks":
			index = data
			continue
		case ".lifeboat/pieces/<first>", ".lifeboat/maps/<path>/<offset>":
			c.piece(data)
		}
		records = append(records, record(end-int64(len(data)), data))
	}
	c.index(index, records, stream)
}

// record is the beginning of the record of a member in a chunk index.
func record(off int64, data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(off))
	return binary.LittleEndian.AppendUint32(b, uint32(len(data)))
}

// index holds a chunk index to the members that it is about.
func (c *checker) index(index []byte, records [][]byte, stream []byte) {
	c.t.Helper()
	for _, r := range records {
		rest, ok := bytes.CutPrefix(index, r)
		if !ok || len(rest) < 4 {
			c.errorf("the chunk index has another record than %x", r)
			return
		}
		off, n := binary.LittleEndian.Uint64(r), binary.LittleEndian.Uint32(r[8:])
		chunk := binary.LittleEndian.Uint32(rest)
		index = rest[4:]
		for part := range slices.Chunk(stream[off:off+uint64(n)], int(max(1, chunk))) {
			sum := sha256.Sum256(part)
			if index, ok = bytes.CutPrefix(index, sum[:16]); !ok {
				c.errorf("the chunk index has another sum for what lies at %d", off)
				return
			}
		}
	}
	if len(index) > 0 {
		c.errorf("the chunk index has %d bytes too many", len(index))
	}
}

// piece holds a piece or a map to the tables.
func (c *checker) piece(data []byte) {
	c.t.Helper()
	first, rest, _ := bytes.Cut(data, []byte("\n"))
	c.object("first line", first)
	for line := range bytes.Lines(rest) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		switch {
		case bytes.HasPrefix(line, []byte(`{"path":`)):
			c.object("line", line)
		case bytes.HasPrefix(line, []byte(`{"extents":`)):
			c.object("second line", line)
		default:
			c.object("archive", line)
		}
	}
}

// object holds a JSON object to the table of that name.
func (c *checker) object(table string, data []byte) {
	c.t.Helper()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var keys []string
	values := map[string]json.RawMessage{}
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		c.errorf("no object: %.80q", data)
		return
	}
	for dec.More() {
		key, err := dec.Token()
		var value json.RawMessage
		if err == nil {
			err = dec.Decode(&value)
		}
		if err != nil {
			c.errorf("%v in %.80q", err, data)
			return
		}
		keys = append(keys, key.(string))
		values[key.(string)] = value
	}
	fileType, _ := strconv.Unquote(string(values["type"]))
	at := 0
	for _, f := range c.spec.objects[table] {
		value, ok := values[f.key]
		needed := f.needed == "yes" || f.needed == "files" && fileType == "file" || f.needed == "all but hardlinks" && fileType != "hardlink" ||
			f.needed == "links" && (fileType == "symlink" || fileType == "hardlink")
		if !ok && needed {
			c.errorf("%s has no %s: %.200s", table, f.key, data)
		}
		if ok {
			if at < len(keys) && keys[at] != f.key {
				c.errorf("%s: %s comes where %s belongs: %.200s", table, keys[at], f.key, data)
			}
			at++
			c.met[table+"."+f.key] = true
			if empty := string(value); !needed && f.key != "uid" && f.key != "gid" && slices.Contains([]string{`0`, `""`, `false`, `[]`, `{}`, `"0"`}, empty) {
				c.errorf("%s: %s is %s, and is there", table, f.key, empty)
			}
			c.value(table+"."+f.key, f.typ, value)
		}
	}
	for _, key := range keys {
		if !slices.ContainsFunc(c.spec.objects[table], func(f field) bool { return f.key == key }) {
			c.errorf("%s has a key %q, which docs/format.md does not have", table, key)
		}
	}
}

// value holds a value to its type.
func (c *checker) value(what, typ string, data json.RawMessage) {
	c.t.Helper()
	if of, ok := strings.CutPrefix(typ, "list of "); ok {
		var list []json.RawMessage
		if err := json.Unmarshal(data, &list); err != nil {
			c.errorf("%s is no list: %.80s", what, data)
		}
		for _, item := range list {
			c.value(what, of, item)
		}
		return
	}
	if elements := c.spec.lists[typ]; elements != nil {
		var list []json.RawMessage
		if err := json.Unmarshal(data, &list); err != nil || len(list) > len(elements) || len(list) < len(elements) && !elements[len(list)].optional {
			c.errorf("%s is no %s: %.80s", what, typ, data)
			return
		}
		c.met[typ] = true
		for i, item := range list {
			if elements[i].typ == "index" && string(item) == "-1" && typ == "extent" {
				continue
			}
			c.value(what, elements[i].typ, item)
		}
		return
	}
	if c.spec.objects[typ] != nil {
		c.object(typ, data)
		return
	}
	if !c.scalar(typ, data) {
		c.errorf("%s is no %s: %.80s", what, typ, data)
	}
}

var forms = map[string]*regexp.Regexp{
	"name": regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`), "hash": regexp.MustCompile(`^[0-9a-f]{64}$`), "stamp": regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z$`),
	"mtime": regexp.MustCompile(`^-?(0|[1-9][0-9]*)\.[0-9]{9}$`), "mode": regexp.MustCompile(`^[0-7]{4}$`), "text": regexp.MustCompile(`(?s)^.*$`),
	"time": regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`),
}

func (c *checker) scalar(typ string, data json.RawMessage) bool {
	if c.spec.kind(typ) == "integer" {
		n, err := strconv.ParseInt(string(data), 10, 64)
		low, high := int64(0), int64(1)<<62
		switch typ {
		case "int32":
			low, high = -1<<31, 1<<31-1
		case "owner":
			high = 1<<32 - 2
		}
		return err == nil && low <= n && n <= high
	}
	if typ == "flag" {
		return string(data) == "true" || string(data) == "false"
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return false
	}
	if v, ok := c.spec.values[typ]; ok {
		c.met[typ+": "+s] = true
		return slices.Contains(v.list, s)
	}
	if typ == "base64" {
		_, err := base64.StdEncoding.Strict().DecodeString(s)
		return err == nil
	}
	return forms[typ].MatchString(s)
}

// A namePattern is a name of the specification, such as `manifests/<stamp>-<sha256>.json.zst`.
type namePattern struct {
	form string
	re   *regexp.Regexp
}

type namePatterns []namePattern

func patterns(names []string) (list namePatterns) {
	fill := strings.NewReplacer(`<sha256>`, `[0-9a-f]{64}`, `<stamp>`, `[0-9]{8}T[0-9]{6}Z`, `<run>`, `[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`,
		`<result>`, `(ok|failed)`, `<path>`, `.+`, `<first>`, `.+`, `<offset>`, `[0-9]{16}`)
	for _, name := range names {
		list = append(list, namePattern{name, regexp.MustCompile(`(?s)^` + fill.Replace(strings.ReplaceAll(name, ".", `\.`)) + `$`)})
	}
	slices.SortStableFunc(list, func(a, b namePattern) int { return len(b.form) - len(a.form) }) // `<path>` is any of them
	return list
}

// find returns the form that a name has, or "".
func (l namePatterns) find(name string) string {
	for _, p := range l {
		if p.re.MatchString(name) {
			return p.form
		}
	}
	return ""
}

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func decode(t testing.TB, stored []byte) []byte {
	t.Helper()
	dec, err := zst.NewDecoder(1)
	if err != nil {
		t.Fatal(err)
	}
	data, err := dec.DecodeBounded(stored, 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// decodeFrames decodes an archive.
func decodeFrames(t testing.TB, stored []byte) []byte {
	t.Helper()
	dec, err := zst.NewDecoder(1)
	if err != nil {
		t.Fatal(err)
	}
	data, err := dec.Decode(make([]byte, 0, 40<<20), stored)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
