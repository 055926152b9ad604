package remotetest

import (
	"errors"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"testing"

	"lifeboat/remote"
)

func testKeys(t *testing.T, s remote.Store) {
	keys := []string{
		"a b", "a+b", "a%b", "a%20b", "a#b", "a&b=c;d", "a,b@c!d'e(f)~", "ünïcödé/日本/🛟", "e\u0301 is not é",
		"archives/" + strings.Repeat("f", 64) + ".tar.zst", ".hidden", "...", "a.", "-", "~",
		"d/e/e/p/e/r", "UPPER and lower", "$HOME", "`x`", "[x]{y}^z", strings.Repeat("long/", 50) + "key", strings.Repeat("n", 255),
	}
	if runtime.GOOS == "windows" {
		t.Log("not checked on Windows, where no file can be named so: ? * : < > | quotation marks, a dot or a space at the end")
		keys = slices.DeleteFunc(keys, func(key string) bool { return strings.HasSuffix(key, ".") })
	} else {
		keys = append(keys, "a?b", "a?b=c", "a*b", "a:b", "a<b>c|d", `a"b`, "trailing space ", " leading", "a ", "nul", "con.txt")
	}
	for i, key := range keys {
		put(t, s, key, noise(i+1, byte(i)))
	}
	for i, key := range keys { // when all are there, none has taken another's place
		check(t, s, key, noise(i+1, byte(i)))
	}
	if l := list(t, s, ""); len(l) != len(keys) {
		t.Errorf("List has %d objects, want %d: %v", len(l), len(keys), l)
	}
	for i, key := range keys {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("Delete(%q): %v", key, err)
		}
		if i == 0 {
			checkAbsent(t, s, key)
		}
	}
	if l := list(t, s, ""); len(l) != 0 {
		t.Errorf("List after deleting all = %v, want nothing", l)
	}
}

func testInvalidKeys(t *testing.T, s remote.Store) {
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/.", "./a", "a/..", "../a", "a/../b", "../../etc/passwd",
		`a\b`, `..\a`, "a\x00b", "a\nb", "a\x7fb", "a\xffb", "\xc3", ".tmp-1", "a/.tmp-x", ".tmp-/a",
		strings.Repeat("n", 256), strings.Repeat("long/", 102) + "key",
	} {
		for name, call := range map[string]func() error{
			"Put":    func() error { return s.Put(t.Context(), key, body([]byte("x")), remote.PutOptions{}) },
			"Open":   func() error { _, err := s.Open(t.Context(), key, 0, -1); return err },
			"Stat":   func() error { _, err := s.Stat(t.Context(), key); return err },
			"Delete": func() error { return s.Delete(t.Context(), key) },
		} {
			if err := call(); !errors.Is(err, fs.ErrInvalid) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s(%.30q) = %v, want fs.ErrInvalid", name, key, err)
			}
		}
	}
	for _, prefix := range []string{"/", "../", "a//", "a/../b", "a/./", `a\`, "\x00", "\xff"} {
		var got error
		for _, got = range s.List(t.Context(), prefix) {
		}
		if !errors.Is(got, fs.ErrInvalid) {
			t.Errorf("List(%q) = %v, want fs.ErrInvalid", prefix, got)
		}
	}
	if l := list(t, s, ""); len(l) != 0 {
		t.Errorf("List = %v, want nothing", l)
	}
}

func testString(t *testing.T, s remote.Store) {
	if s.String() == "" {
		t.Error("String is empty")
	}
}
