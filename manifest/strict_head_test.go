package manifest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"lifeboat/manifest"
)

// replace replaces the one occurrence of old.
func replace(t *testing.T, text, old, new string) string {
	t.Helper()
	if n := strings.Count(text, old); n != 1 {
		t.Fatalf("%q occurs %d times", old, n)
	}
	return strings.Replace(text, old, new, 1)
}

// checkInvalid checks that an error says that the store is damaged, and names the thing.
func checkInvalid(t *testing.T, err error, names string) {
	t.Helper()
	if !errors.Is(err, manifest.ErrInvalid) || !strings.Contains(err.Error(), names) {
		t.Errorf("error %v, want one that is ErrInvalid and names %q", err, names)
	}
	if err != nil && strings.Count(err.Error(), manifest.ErrInvalid.Error()) > 1 {
		t.Errorf("the error repeats itself: %v", err)
	}
}

// Each change of a valid head breaks one rule of docs/format.md.
func TestParseHeadRefuses(t *testing.T) {
	if _, err := manifest.ParseHead([]byte(expand(goldenHead))); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, old, new, names string }{
		// Rule 1: text is UTF-8; and it is JSON.
		{"not UTF-8", `"0.1.0"`, "\"0.1\xff\"", "UTF-8"},
		{"half a character", `"0.1.0"`, `"0.1\ud800"`, `\ud800`},
		{"the other half", `"0.1.0"`, `"\udfff0.1"`, `\udfff`},
		{"halves in the wrong order", `"0.1.0"`, `"\udfff\ud800"`, `\udfff`},
		{"half before an escape", `"0.1.0"`, `"\uD800\u0041"`, `\uD800`},
		{"no JSON", `"tool":`, `"tool"`, "invalid character"},
		{"cut", `"writer_block_ms":5}}`, `"writer_block_ms":5}`, "unexpected end"},
		{"something behind it", `"writer_block_ms":5}}`, `"writer_block_ms":5}}{}`, "after top-level value"},
		{"an open string", `"writer_block_ms":5}}`, `"writer_block_ms":5},"x":"`, "unexpected end"},
		{"an array", `{"format"`, `[{"format"`, "JSON"},
		{"one bracket too many", `"writer_block_ms":5}}`, `"writer_block_ms":5}}]`, "after top-level value"},

		// Rule 3: keys.
		{"key twice", `"app":"vault-warden.2"`, `"app":"vault-warden.2","app":"b"`, `"app" occurs twice`},
		{"format twice", `"app":"vault-warden.2"`, `"app":"vault-warden.2","format":"lifeboat/1"`, `"format" occurs twice`},
		{"unknown key twice", `"app":`, `"x":1,"x":1,"app":`, `"x" occurs twice`},
		{"key twice, deeper", `"os":"linux"`, `"os":"linux","arch":"x","os":"linux"`, `occurs twice`},
		{"upper-case key", `"app"`, `"App"`, `"App"`},
		{"upper-case format", `"format"`, `"FORMAT"`, `"FORMAT"`},
		{"escaped key", `"app"`, `"\u0061pp"`, `u0061pp`},
		{"key that folds", `"tool":`, `"\u017ftate":"x","tool":`, `u017ftate`},
		{"empty key", `"tool":`, `"":1,"tool":`, `key ""`},
		{"upper-case unknown key, deeper", `"os":"linux"`, `"os":"linux","X":[]`, `"X"`},

		// Rule 4: numbers, and null.
		{"null", `"state":"incomplete"`, `"state":null`, "null"},
		{"null in a list", `"problems":[`, `"problems":[null,`, "null"},
		{"null in an unknown key", `"app":`, `"x":[null],"app":`, "null"},
		{"float", `"bytes":20}`, `"bytes":20.0}`, "20.0"},
		{"float in people's figures", `"seconds":3`, `"seconds":3.5`, "3.5"},
		{"float in an unknown key", `"app":`, `"x":0.5,"app":`, "0.5"},
		{"exponent", `"bytes":20}`, `"bytes":2e1}`, "2e1"},
		{"upper-case exponent", `"bytes":20}`, `"bytes":2E1}`, "2E1"},
		{"exponent in people's figures", `"seconds":3`, `"seconds":3e0`, "3e0"},
		{"exponent in an unknown key", `"app":`, `"x":[1E2],"app":`, "1E2"},
		{"minus zero", `"new_bytes":100`, `"new_bytes":-0`, "-0"},
		{"negative bytes of a source", `"bytes":20}`, `"bytes":-20}`, `"conf"`},
		{"negative databases", `"databases":1`, `"databases":-1`, `"data"`},
		{"negative skew", `"skew_us":250`, `"skew_us":-1`, "skew"},
		{"negative problem_count", `"problem_count":7`, `"problem_count":-7`, "problem_count"},
		{"negative stats", `"pin_ms":40`, `"pin_ms":-40`, "stats"},
		{"negative seconds", `"seconds":3`, `"seconds":-3`, "stats"},
		{"seconds beyond counting", `"seconds":3`, `"seconds":1000000000000000000000`, "stats"},
		{"integer beyond 64 bits", `"bytes":20}`, `"bytes":18446744073709551636}`, "18446744073709551636"},
		{"text for a number", `"bytes":20}`, `"bytes":"20"}`, "string"},
		{"number for text", `"os":"linux"`, `"os":1`, "number"},
		{"boolean for a number", `"bytes":20}`, `"bytes":true}`, "bool"},
		{"object for a list", `"omitted":[`, `"omitted":{"x":[`, "JSON"},

		// 4.1.
		{"app", `"vault-warden.2"`, `"-vault"`, `"-vault"`},
		{"no app", `"app":"vault-warden.2",`, ``, "app"},
		{"kind", `"kind":"safety"`, `"kind":"full"`, `"full"`},
		{"stamp", `"stamp":"20260102T030405Z"`, `"stamp":"20260102T030460Z"`, `20260102T030460Z`},
		{"no stamp", `"stamp":"20260102T030405Z",`, ``, "stamp"},
		{"stamp with a fraction", `"stamp":"20260102T030405Z"`, `"stamp":"20260102T030405.5Z"`, `20260102T030405.5Z`},
		{"finished", `T03:04:09.5Z`, `T03:04:9.5Z`, `parsing time`},
		{"finished elsewhere", `T03:04:09.5Z`, `T03:04:09.5+02:00`, `UTC`},
		{"state", `"state":"incomplete"`, `"state":"done"`, `"done"`},
		{"no state", `"state":"incomplete",`, ``, `state`},
		{"level", `"level":"stable"`, `"level":"good"`, `"good"`},
		{"no consistency", `"consistency":{"level":"stable","skew_us":250},`, ``, `consistency`},
		{"previous without hash", `,"sha256":"#d"`, ``, "previous"},
		{"previous without stamp", `"stamp":"20260101T030405Z",`, ``, "previous"},
		{"previous of nothing", `{"stamp":"20260101T030405Z","sha256":"#d"}`, `{}`, "previous"},
		{"upper-case hash", `#d`, strings.Repeat("D", 64), "DDDD"},
		{"short hash", `#d`, strings.Repeat("d", 63), "ddd"},
		{"long hash", `#d`, strings.Repeat("d", 66), "ddd"},
		{"more problems than counted", `"problem_count":7`, `"problem_count":1`, "problem_count 1"},
		{"source's name", `"name":"conf"`, `"name":"Conf"`, `"Conf"`},
		{"source's path", `"name":"conf"`, `"name":"a/b"`, `"a/b"`},
		{"source's long name", `"name":"conf"`, `"name":"` + strings.Repeat("c", 65) + `"`, `64 characters`},
		{"source's type", `"type":"file"`, `"type":"tape"`, `"conf": type "tape"`},
		{"source's level", `"consistency":"transactional"`, `"consistency":"firm"`, `"firm"`},
		{"source without level", `"consistency":"transactional",`, ``, `"conf"`},
		{"file source of two files", `"consistency":"transactional","files":1`, `"consistency":"transactional","files":2`, `"conf"`},
		{"sources out of order", `"name":"conf"`, `"name":"zonf"`, `"data"`},
		{"source twice", `"name":"conf"`, `"name":"data"`, `"data"`},
		{"sources have more files", `"count":5`, `"count":4`, "5 files"},
		{"sources have fewer bytes", `"count":5,"bytes":200`, `"count":5,"bytes":201`, "201"},
		{"sums overflow", `"consistency":"transactional","files":1,"bytes":20`, `"consistency":"transactional","files":1,"bytes":9223372036854775807`, "more than fits"},

		// The archives of the tables, and their pieces.
		{"root twice", `"sha256":"#a","size"`, `"sha256":"#b","size"`, "bbbb"},
		{"root without hash", `"sha256":"#a","size"`, `"size"`, "root 1"},
		{"root without size", `"size":600,`, ``, "size 0"},
		{"root too large", `"length":1400,"frames":[600]`, `"length":4294967297,"frames":[600]`, "4294967297"},
		{"frames too few", `"frames":[400,100]`, `"frames":[500]`, "1 frames"},
		{"frames too many", `"frames":[600]`, `"frames":[300,300]`, "2 frames"},
		{"frames too small", `"frames":[600]`, `"frames":[599]`, "add up"},
		{"frames too large", `"frames":[600]`, `"frames":[601]`, "add up"},
		{"negative frame", `"frames":[400,100]`, `"frames":[501,-1]`, "add up"},
		{"frames overflow", `"frames":[400,100]`, `"frames":[9223372036854775807,9223372036854775807]`, "frame of"},
		{"index outside", `"index":[1024,376`, `"index":[1024,377`, "index"},
		{"index before", `"index":[1024,376`, `"index":[-1,376`, "index"},
		{"index of two", `"index":[1024,376,"#4"]`, `"index":[1024,376]`, "2 values"},
		{"data too large", `"data":800`, `"data":1401`, "1401"},
		{"negative data", `"data":800`, `"data":-1`, "-1"},
		{"piece in no root", `["conf/app.json",1,512`, `["conf/app.json",2,512`, `"conf/app.json" in archive 2`},
		{"piece in zeros", `["conf/app.json",1,512`, `["conf/app.json",-1,0`, `"conf/app.json" in archive -1`},
		{"piece before its root", `["conf/app.json",1,512`, `["conf/app.json",1,-512`, `piece "conf/app.json"`},
		{"piece outside its root", `0,512,800`, `0,512,889`, `outside archive bbbb`},
		{"piece far outside", `0,512,800`, `0,9223372036854775807,800`, `outside archive bbbb`},
		{"piece of nothing", `1,512,900`, `1,512,0`, `"conf/app.json" of 0 bytes`},
		{"piece too long", `1,512,900`, `1,512,16777217`, `"conf/app.json" of 16777217 bytes`},
		{"piece with no path", `"conf/app.json",1`, `"../conf",1`, `"../conf"`},
		{"piece with no hash", `"#7"`, `"seven"`, `"seven"`},
		{"pieces out of order", `"conf/app.json",1`, `"zonf/app.json",1`, "out of order"},
		{"pieces alike", `["data/` + "\uFFFD" + `",0,512,800,"#2","ZGF0YS//"]`, `["conf/app.json",1,512,900,"#1"]`, "out of order"},
		{"piece of four", `["conf/app.json",1,512,900,"#1"]`, `["conf/app.json",1,512,900]`, "4 values"},
		{"piece of seven", `"ZGF0YS//"]`, `"ZGF0YS//",1]`, "7 values"},
		{"piece with a float", `1,512,900`, `1,512,900.0`, "900.0"},
		{"raw that is UTF-8", `"ZGF0YS//"`, `"ZGF0YQ=="`, "UTF-8"},
		{"raw without padding", `"ZGF0YS//"`, `"ZGF0YQ"`, "base64"},
		{"raw of other letters", `"ZGF0YS//"`, `"ZGF0YS__"`, "base64"},
		{"lines without pieces", `"count":1,"bytes":600,"pieces":[["#7",1,2048,100,"#3"]]`, `"count":1,"bytes":600`, "0 pieces for 1 lines"},
		{"pieces without lines", `"count":1,"bytes":600,`, ``, "1 pieces for 0 lines"},
		{"negative count", `"count":1,`, `"count":-1,`, "-1 lines"},

		// Shapes that cost more than they say.
		{"deep", `"app":`, `"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `,"app":`, "deep"},
		{"deep objects", `"app":`, `"x":` + strings.Repeat(`{"a":`, 100_000) + `1` + strings.Repeat("}", 100_000) + `,"app":`, "depth"},
		{"many keys", `"app":`, manyKeys(100_000) + `"app":`, "more than 64"},
		{"many objects", `"problems":[`, `"problems":[` + strings.Repeat("{},", 70_000), "objects"},
		{"many problems", `"problems":[`, `"problems":[` + strings.Repeat("{},", 99), "101 problems"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := manifest.ParseHead([]byte(expand(replace(t, goldenHead, tt.old, tt.new))))
			checkInvalid(t, err, tt.names)
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"k%d":0,`, i)
	}
	return b.String()
}

func TestHeadTooLong(t *testing.T) {
	_, err := manifest.ParseHead(make([]byte, manifest.MaxHead+1))
	checkInvalid(t, err, "head of 67108865 bytes")

	h := headOfGolden()
	h.Tool = strings.Repeat("x", manifest.MaxHead)
	_, err = h.Encode()
	checkInvalid(t, err, "head of ")
}

func TestUnknownFormat(t *testing.T) {
	for text, found := range map[string]string{
		replace(t, goldenHead, "lifeboat/1", "lifeboat/2"): "lifeboat/2",
		`{"format":"lifeboat/2"}`:                          "lifeboat/2",
		`{"Other":null,"n":1.5,"format":"lifeboat/10"}`:    "lifeboat/10", // by other rules
	} {
		_, err := manifest.ParseHead([]byte(expand(text)))
		var unknown *manifest.FormatError
		if !errors.As(err, &unknown) || unknown.Found != found || errors.Is(err, manifest.ErrInvalid) {
			t.Errorf("%.40s: %v, want a FormatError for %q", text, err, found)
		} else if !strings.Contains(err.Error(), found) || !strings.Contains(err.Error(), "newer lifeboat") {
			t.Errorf("the message does not say what to do: %v", err)
		}
	}
	for _, text := range []string{``, `{}`, `[]`, `"lifeboat/1"`, `{"format":""}`, `{"format":"borg/1"}`, `{"format":1}`, `{"format":null}`} {
		_, err := manifest.ParseHead([]byte(text))
		checkInvalid(t, err, "")
	}
}

// Unknown keys are for versions to come, wherever there are objects.
func TestUnknownKeysAreIgnored(t *testing.T) {
	text := goldenHead
	for _, place := range []string{`{"format"`, `{"name":"conf"`, `{"name":"<light`, `{"source":"logs"`, `{"count":5`, `{"sha256":"#b"`, `{"bytes":200`, `{"level":"stable"`} {
		text = replace(t, text, place, `{"to_come_9":{"a":[1,"\ud83d\udedf",true,{"b":-5}]},`+place[1:])
	}
	got, err := manifest.ParseHead([]byte(expand(text)))
	if err != nil {
		t.Fatal(err)
	}
	again, err := got.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != expand(goldenHead) {
		t.Errorf("read\n%s\nwant\n%s", again, expand(goldenHead))
	}
}

// White space and the order of keys are the writer's duty; the SHA-256 in the name has them fixed.
func TestReaderDoesNotMindLayout(t *testing.T) {
	var v any
	if err := json.Unmarshal([]byte(expand(goldenHead)), &v); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(v, "\r", "\t ") // in the order of the alphabet
	if err != nil {
		t.Fatal(err)
	}
	got, err := manifest.ParseHead(text)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := got.Encode(); err != nil || string(again) != expand(goldenHead) {
		t.Errorf("read\n%s\n%v", again, err)
	}
}

// A head is held to the same rules when it is written.
func TestEncodeRefuses(t *testing.T) {
	for name, change := range map[string]func(*manifest.Head){
		"format":        func(h *manifest.Head) { h.Format = "" },
		"stamp":         func(h *manifest.Head) { h.Stamp = "today" },
		"app":           func(h *manifest.Head) { h.App = "" },
		"previous":      func(h *manifest.Head) { h.Previous = new(manifest.ID) },
		"problem_count": func(h *manifest.Head) { h.ProblemCount = 0 },
		"101 problems":  func(h *manifest.Head) { h.Problems = make([]manifest.Problem, 101); h.ProblemCount = 101 },
		"files":         func(h *manifest.Head) { h.Files.Count++ },
		"root":          func(h *manifest.Head) { h.Roots[1] = h.Roots[0] },
		"piece":         func(h *manifest.Head) { h.Files.Pieces[0].Archive = 2 },
		"stats":         func(h *manifest.Head) { h.Stats.Seconds = -1 },
	} {
		h := headOfGolden()
		change(h)
		_, err := h.Encode()
		checkInvalid(t, err, name)
	}
}

// Texts of a store are not repeated at length in errors.
func TestErrorsAreShort(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, value := range []string{`lifeboat/1`, `vault-warden.2`, `safety`, `20260102T030405Z`, `2026-01-02T03:04:09.5Z`, `20260101T030405Z`, `incomplete`, `fuzzy`, `conf`, `directory`, `conf/app.json`, `#7`, `#b`, `ZGF0YS//`} {
		head := strings.Replace(goldenHead, `"level":"stable"`, `"level":"fuzzy"`, 1)
		_, err := manifest.ParseHead([]byte(expand(strings.Replace(head, `"`+value+`"`, `"`+value+long+`"`, 1))))
		if err == nil || len(err.Error()) > 1000 {
			t.Errorf("%s: %.1000v", value, err)
		}
	}
	for _, old := range []string{`"seconds":3`, `"bytes":200,"new`} {
		number := strings.Repeat("3", 1<<20)
		_, err := manifest.ParseHead([]byte(expand(strings.Replace(goldenHead, old, strings.Replace(old, ":", ":"+number, 1), 1))))
		if err == nil || len(err.Error()) > 1000 {
			t.Errorf("%s: %.1000v", old, err)
		}
	}
	for _, value := range []string{`file`, `data/a`, `0600`, `1.000000000`, `#1`, `user.b`, `AA==`, `t`, `data/l`} {
		text := strings.Replace(archivesLine+"\n"+validFiles, `"`+value+`"`, `"`+value+long+`"`, 1)
		if value == "t" { // a name may be long, but not of a table with a negative number of rows
			text = strings.Replace(text, `",1]]}}`, `",-1]]}}`, 1)
		}
		if value == "user.b" {
			text = strings.Replace(text, `"user.a"`, `"user.c"`, 1)
		}
		s := new(store)
		_, err := readAll(forge(s, text), s)
		if err == nil || len(err.Error()) > 1000 {
			t.Errorf("%s: %.1000v", value, err)
		}
	}
}
