package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/config"
)

func TestParseSource(t *testing.T) {
	for _, tt := range []struct{ arg, name, path string }{
		{"data", "data", at("work", "data")},
		{"./data/", "data", at("work", "data")},
		{"../data", "data", at("data")},
		{".", "work", at("work")},
		{at("opt", "vw"), "vw", at("opt", "vw")},
		{"My App.DB", "my-app.db", at("work", "My App.DB")},
		{".Config", "config", at("work", ".Config")},
		{"_-.x_y-z", "x_y-z", at("work", "_-.x_y-z")},
		{"caf\u00e9", "caf--", at("work", "caf\u00e9")},
		{strings.Repeat("x", 70), strings.Repeat("x", 64), at("work", strings.Repeat("x", 70))},
		{"db=data", "db", at("work", "data")},
		{"db=" + at("a=b"), "db", at("a=b")},
		{"./a=b", "a-b", at("work", "a=b")},
		{"a/b=c", "b-c", at("work", "a", "b=c")},
		{"x=" + root, "x", root},
	} {
		got, err := config.ParseSource(tt.arg, at("work"))
		if err != nil {
			t.Errorf("ParseSource(%q): %v", tt.arg, err)
			continue
		}
		if diff := cmp.Diff(config.Source{Name: tt.name, Path: tt.path}, got); diff != "" {
			t.Errorf("ParseSource(%q) (-want +got):\n%s", tt.arg, diff)
		}
	}
	for arg, want := range map[string]string{
		"":                              "empty",
		"db=":                           "empty",
		"=x":                            "./=x",
		"Data=x":                        "./Data=x",
		root:                            "NAME=" + root,
		"日本":                            "NAME=日本",
		"...":                           "NAME=...",
		strings.Repeat("x", 65) + "=/x": "1 to 64",
	} {
		if got, err := config.ParseSource(arg, at("work")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseSource(%q) = %+v, %v; want an error with %q in it", arg, got, err, want)
		}
	}
}

func TestParseSources(t *testing.T) {
	got, err := config.ParseSources([]string{"a/data", "old=b/data"}, at("work"))
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Source{{Name: "data", Path: at("work", "a", "data")}, {Name: "old", Path: at("work", "b", "data")}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ParseSources (-want +got):\n%s", diff)
	}

	_, err = config.ParseSources([]string{"a/data", "b/data", "", "c/DATA"}, at("work"))
	if err == nil {
		t.Fatal("ParseSources took two sources of one name")
	}
	for _, want := range []string{
		`"a/data" and "b/data"`, "other-data=" + at("work", "b", "data"), "path is empty", `"a/data" and "c/DATA"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("ParseSources = %v\nwant %q in it", err, want)
		}
	}
}

func TestAppName(t *testing.T) {
	sources := []config.Source{{Name: "db", Path: at("opt", "My App")}}
	remotes := func(urls ...string) (rs []config.Remote) {
		for _, u := range urls {
			rs = append(rs, config.Remote{URL: u})
		}
		return rs
	}
	for _, tt := range []struct {
		flag   string
		config config.Config
		want   string
	}{
		{"flag", config.Config{App: "configured", Remotes: remotes("s3://bkt/p"), Sources: sources}, "flag"},
		{"", config.Config{App: "configured", Remotes: remotes("s3://bkt/p"), Sources: sources}, "configured"},
		{"", config.Config{Remotes: remotes("s3://bkt/team/Prefix/?region=x/y"), Sources: sources}, "prefix"},
		{"", config.Config{Remotes: remotes("s3://bkt", "s3://bkt/?region=x", "s3://bkt/second"), Sources: sources}, "second"},
		{"", config.Config{Remotes: remotes("s3://bkt/"), Sources: sources}, "my-app"},
		{"", config.Config{Remotes: remotes("file:///mnt/vw"), Sources: sources}, "vw"},
		{"", config.Config{Remotes: remotes(at("mnt", "vw")), Sources: sources}, "vw"},
		{"", config.Config{Remotes: remotes("file:///"), Sources: sources}, "my-app"},
	} {
		if got, err := tt.config.AppName(tt.flag); err != nil || got != tt.want {
			t.Errorf("AppName(%q) of %+v = %q, %v; want %q", tt.flag, tt.config, got, err, tt.want)
		}
	}
	empty := config.Config{Remotes: remotes("s3://bkt"), Sources: []config.Source{{Path: root}}}
	if got, err := empty.AppName(""); !errors.Is(err, config.ErrNoApp) {
		t.Errorf("AppName of nothing = %q, %v", got, err)
	}
	if got, err := empty.AppName("../up"); err == nil || errors.Is(err, config.ErrNoApp) {
		t.Errorf("AppName(../up) = %q, %v", got, err)
	}
}
