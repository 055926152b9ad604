package manifest

import (
	"reflect"
	"strings"
	"testing"
)

const plain = `{"path":"data/a b/ü.json","type":"file","mode":"0644","uid":0,"gid":4294967295,"user":"root","group":"staff","mtime":"1795378500.123456789",` +
	`"size":6021,"sha256":"00000000000000000000000000000000000000000000000000000000000000ff","links":2,"chunk":65536,"extents":[[0,512,6000],[-1,0,21]]}`

// same fails unless a line is read as unmarshal alone would read it.
func same(t *testing.T, line []byte) (taken bool) {
	t.Helper()
	var fast, slow fileLine
	if !plainLine(line, &fast) {
		return false
	}
	if err := unmarshal(line, &slow); err != nil {
		t.Fatalf("%q is taken, and unmarshal says: %v", line, err)
	}
	if !reflect.DeepEqual(slow, fast) {
		t.Fatalf("%q is read otherwise:\n%+v\n%+v", line, slow, fast)
	}
	return true
}

// What plainLine takes, unmarshal takes, and reads as the same: of lines as they are written, of every such line with one byte that is another, one
// that is not there, one too many, and cut anywhere.
func TestPlainLine(t *testing.T) {
	for _, line := range []string{
		plain, plain + "\n",
		`{"path":"data","type":"directory","mode":"0755","uid":1000,"gid":1000,"mtime":"-0.500000000"}`,
		`{"path":"data/empty","type":"file","mode":"0600","mtime":"0.000000000","size":0,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}`,
	} {
		if !same(t, []byte(line)) {
			t.Errorf("left to unmarshal: %s", line)
		}
	}
	for _, line := range []string{
		"", "{}", "null", plain[:len(plain)-1], plain + " ", plain + "\n\n", strings.Replace(plain, "ü", `\u00fc`, 1), strings.Replace(plain, "ü", "\xff", 1),
		strings.Replace(plain, `"size":6021`, `"size":06021`, 1), strings.Replace(plain, `"size":6021`, `"size":9223372036854775808`, 1),
		strings.Replace(plain, `"uid":0`, `"uid":-0`, 1), strings.Replace(plain, "4294967295", "4294967296", 1), strings.Replace(plain, `[[0,`, `[[ 0,`, 1),
		strings.Replace(plain, `,"gid"`, `,"uid":0,"gid"`, 1), strings.Replace(plain, "0644", "644", 1), strings.Replace(plain, "0ff", "0FF", 1),
		strings.Replace(plain, `"file"`, `"symlink"`, 1), strings.Replace(plain, `[[0,512,6000],[-1,0,21]]`, `[]`, 1), strings.Replace(plain, "ü", "\x01", 1),
	} {
		if same(t, []byte(line)) {
			t.Errorf("taken: %s", line)
		}
	}
	bytes := []byte(` !"\{}[],:-+.0123456789aefEFnu` + "\x00\x1f\x7f\x80\xc3\xbc\n")
	for i := range plain {
		same(t, []byte(plain[:i]))
		same(t, []byte(plain[:i]+plain[i+1:]))
		for _, c := range bytes {
			same(t, []byte(plain[:i]+string(rune(c))+plain[i:]))
			line := []byte(plain)
			line[i] = c
			same(t, line)
		}
	}
}

func FuzzPlainLine(f *testing.F) {
	f.Add([]byte(plain))
	f.Add([]byte(`{"path":"data","type":"directory","mode":"0755","uid":1000,"gid":1000,"mtime":"-0.500000000"}` + "\n"))
	f.Fuzz(func(t *testing.T, line []byte) { same(t, line) })
}
