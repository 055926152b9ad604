package remote_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/remote"
)

// FuzzParseURL: what is taken is a bucket or an absolute directory, and its String is read as the same; what is refused shows nothing that
// stands where people put secrets.
func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"s3://bucket/a/b?endpoint=https://host:9000&region=eu-1", "s3://user:secret@bucket/a", "file:///var/x%20y", "file://localhost/x", "../a b#?%", `C:\backups\app`,
		"s3://b/../x", "s3://bucket/a?endpoint=http://u:secret@h", "https://example.com", "s3:bucket", "", "s3://bucket/%zz", "s3://bucket//a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		const secret = "sEcReT7"
		if _, err := remote.ParseURL(strings.ReplaceAll(s, "secret", secret)); err != nil && strings.Contains(err.Error(), secret) && strings.Contains(s, "secret@") {
			t.Fatalf("%q: the error shows a secret: %v", s, err)
		}
		loc, err := remote.ParseURL(s)
		if err != nil {
			if loc != (remote.Location{}) {
				t.Fatalf("%q: %+v with error %v", s, loc, err)
			}
			return
		}
		if (loc.Dir == "") == (loc.Bucket == "") || loc.Dir != "" && !filepath.IsAbs(loc.Dir) || strings.HasPrefix(loc.Prefix, "/") || strings.Contains("/"+loc.Prefix+"/", "/../") {
			t.Fatalf("%q is %+v", s, loc)
		}
		again, err := remote.ParseURL(loc.String())
		if err != nil {
			t.Fatalf("%q is written as %q, which is refused: %v", s, loc, err)
		}
		if diff := cmp.Diff(loc, again); diff != "" {
			t.Fatalf("%q is written as %q:\n%s", s, loc, diff)
		}
	})
}
