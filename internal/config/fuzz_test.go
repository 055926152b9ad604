package config_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/config"
	"lifeboat/manifest"
)

// FuzzParse looks for text that Parse crashes on, takes although it breaks a rule, or says of something
// that is not so. What it takes must survive being shown and parsed again.
func FuzzParse(f *testing.F) {
	f.Add(config.Example())
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parse(text)
		if err != nil {
			checkError(t, text, err)
			return
		}
		names := map[string]bool{}
		for _, s := range c.Sources {
			if err := manifest.CheckName(s.Name); err != nil || names[s.Name] || !filepath.IsAbs(s.Path) {
				t.Errorf("source %+v was taken", s)
			}
			names[s.Name] = true
		}
		for _, r := range c.Remotes {
			rest, isS3 := strings.CutPrefix(r.URL, "s3://")
			if bucket, _, _ := strings.Cut(rest, "/"); isS3 && strings.ContainsAny(bucket, "@:") {
				t.Errorf("url %q was taken", r.URL)
			}
			if !isS3 && !strings.HasPrefix(r.URL, "file:/") && !filepath.IsAbs(r.URL) {
				t.Errorf("url %q was left relative", r.URL)
			}
		}
		shown, err := c.Show()
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(string(shown))
		if err != nil {
			t.Fatalf("Parse of what Show wrote: %v\n%s", err, shown)
		}
		if diff := cmp.Diff(c, again); diff != "" {
			t.Errorf("after Show and Parse (-want +got):\n%s", diff)
		}
	})
}

// checkError holds an error to its promises: it is an *Error, every problem lies in the file, and the
// text can be printed on a terminal.
func checkError(t *testing.T, text string, err error) {
	t.Helper()
	var e *config.Error
	if !errors.As(err, &e) || len(e.Problems) == 0 {
		t.Fatalf("Parse = %v (%T), want problems", err, err)
	}
	lines := strings.Count(text, "\n") + strings.Count(text, "\r") + strings.Count(text, "\u0085") +
		strings.Count(text, "\u2028") + strings.Count(text, "\u2029") + 1
	for i, p := range e.Problems {
		if p.Line < 0 || p.Line > lines || p.Column < 0 || p.Text == "" {
			t.Errorf("problem %+v of a file of %d lines", p, lines)
		}
		if i > 0 && p.Line < e.Problems[i-1].Line {
			t.Errorf("problem %+v comes after %+v", p, e.Problems[i-1])
		}
		if strings.ContainsFunc(p.Text, unicode.IsControl) {
			t.Errorf("problem %+v has a control character", p)
		}
	}
}
