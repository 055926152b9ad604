package manifest_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lifeboat/manifest"
)

// A walk meets a directory, then what it holds, then what follows it by name.
func TestComparePaths(t *testing.T) {
	sorted := []string{"a", "a/\x01", "a/a", "a/z", "a/z/z", "a\x01", "a b", "a-b", "a.txt", "a.txt/z", "a0", "aa", "b", "b\xff", "é"}
	for i, a := range sorted {
		for j, b := range sorted {
			if got := manifest.ComparePaths(a, b); got < 0 != (i < j) || got > 0 != (i > j) {
				t.Errorf("compare %q and %q: %d", a, b, got)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.Map(rapid.SliceOfN(rapid.OneOf(component(), rapid.SampledFrom([]string{"a", "a.", "a-", "b"})), 1, 4), func(c []string) string { return strings.Join(c, "/") })
		a, b := path.Draw(t, "a"), path.Draw(t, "b")
		want, got := compareComponents(a, b), manifest.ComparePaths(a, b)
		if got < 0 != (want < 0) || got > 0 != (want > 0) {
			t.Fatalf("compare %q and %q: %d, by components %d", a, b, got, want)
		}
	})
}

func TestCheckPath(t *testing.T) {
	long := strings.Repeat("x", manifest.MaxPath)
	for _, good := range []string{"a", "a/b", "...", "a/...", ".a", "a.", " ", "a\nb", "\xff", "a\\b", "C:", "~", long} {
		if err := manifest.CheckPath(good); err != nil {
			t.Errorf("%.40q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "/", "/a", "a/", "a//b", ".", "..", "./a", "../a", "a/.", "a/..", "a/./b", "a/../b", "a\x00", "\x00", long + "x"} {
		if err := manifest.CheckPath(bad); !errors.Is(err, manifest.ErrInvalid) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}

func TestPathParts(t *testing.T) {
	for _, tt := range []struct{ path, parent, source, base string }{
		{"a", "", "a", "a"}, {"a/b", "a", "a", "b"}, {"a/b/c", "a/b", "a", "c"},
	} {
		f := manifest.File{Path: tt.path}
		if got := []string{manifest.Parent(tt.path), manifest.SourceOf(tt.path), f.Base()}; !slices.Equal(got, []string{tt.parent, tt.source, tt.base}) {
			t.Errorf("%s: %q", tt.path, got)
		}
	}
}

func TestCheckName(t *testing.T) {
	for _, good := range []string{"a", "0", "a.b", "a-b_c.d", "a.", "0--", strings.Repeat("a", 64)} {
		if err := manifest.CheckName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", ".", "..", "-a", "_a", ".a", "A", "aB", "a b", "a/b", "a\\b", "é", "a\x00", "a\n", strings.Repeat("a", 65)} {
		if err := manifest.CheckName(bad); !errors.Is(err, manifest.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
