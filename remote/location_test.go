package remote_test

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/remote"
)

func TestParseURL(t *testing.T) {
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		url  string
		want remote.Location
	}{
		{"s3://bucket", remote.Location{Bucket: "bucket"}},
		{"s3://bucket/", remote.Location{Bucket: "bucket"}},
		{"s3://my.bucket-1/a/b/", remote.Location{Bucket: "my.bucket-1", Prefix: "a/b"}},
		{"s3://bucket/with%20space/%25/%3F", remote.Location{Bucket: "bucket", Prefix: "with space/%/?"}},
		{"s3://bucket/a?endpoint=http://127.0.0.1:9000&region=eu-1", remote.Location{Bucket: "bucket", Prefix: "a", Endpoint: "http://127.0.0.1:9000", Region: "eu-1"}},
		{"s3://bucket?endpoint=https%3A%2F%2Fs3.example.com", remote.Location{Bucket: "bucket", Endpoint: "https://s3.example.com"}},
		{"s3://bucket/a?endpoint=minio:9000", remote.Location{Bucket: "bucket", Prefix: "a", Endpoint: "minio:9000"}},
		{"s3://bucket/a?endpoint=[::1]:9000", remote.Location{Bucket: "bucket", Prefix: "a", Endpoint: "[::1]:9000"}},
		{"backups/app", remote.Location{Dir: filepath.Join(here, "backups", "app")}},
		{".", remote.Location{Dir: here}},
		{"./s3", remote.Location{Dir: filepath.Join(here, "s3")}},
		{"s3", remote.Location{Dir: filepath.Join(here, "s3")}},
		{"with space #1?", remote.Location{Dir: filepath.Join(here, "with space #1?")}},
	} {
		got, err := remote.ParseURL(c.url)
		if err != nil {
			t.Errorf("ParseURL(%q): %v", c.url, err)
			continue
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("ParseURL(%q): -want +got\n%s", c.url, d)
		}
		again, err := remote.ParseURL(got.String())
		if d := cmp.Diff(got, again); d != "" || err != nil {
			t.Errorf("ParseURL(%q), as String gives it: %v, -want +got\n%s", got.String(), err, d)
		}
	}
}

func TestParsePath(t *testing.T) {
	paths := map[string]string{
		"/var/backups/app":                "/var/backups/app",
		"/var//backups/../app/":           "/var/app",
		"file:///var/backups/app":         "/var/backups/app",
		"file://localhost/var/app":        "/var/app",
		"file:///var/with%20space/%23%3F": "/var/with space/#?",
	}
	if runtime.GOOS == "windows" {
		paths = map[string]string{
			`C:\backups\app`:            `C:\backups\app`,
			`c:/backups/app`:            `c:\backups\app`,
			`\\server\share\app`:        `\\server\share\app`,
			"file:///C:/backups/my%20x": `C:\backups\my x`,
		}
	}
	for url, want := range paths {
		got, err := remote.ParseURL(url)
		if err != nil || got != (remote.Location{Dir: want}) {
			t.Errorf("ParseURL(%q) = %+v, %v; want %q", url, got, err, want)
		}
	}
	if runtime.GOOS != "windows" { // there it is a path of a strange name, and no URL of scheme C
		if got, err := remote.ParseURL(`C:\backups`); err != nil || filepath.Base(got.Dir) != `C:\backups` {
			t.Errorf(`ParseURL(C:\backups) = %+v, %v`, got, err)
		}
	}
}

// What is refused names the next step, and nothing that may be a secret.
func TestParseURLRefuses(t *testing.T) {
	for url, hint := range map[string]string{
		"":                                "s3://bucket/prefix",
		"s3:bucket/prefix":                "s3://bucket/prefix",
		"s3://":                           "s3://bucket/prefix",
		"s3:///prefix":                    "s3://bucket/prefix",
		"s3://b/x":                        "bucket",
		"s3://127.0.0.1/bucket":           "endpoint=",
		"s3://host:9000/bucket":           "bucket",
		"s3://bucket/a//b":                "empty component",
		"s3://bucket/a/../b":              "..",
		"s3://bucket/a?prefix=b":          "endpoint and region",
		"s3://bucket/a?Endpoint=b":        "endpoint and region",
		"s3://bucket/a?region=1&region=2": "once",
		"s3://bucket/a?endpoint=ftp://x":  "https://host",
		"s3://bucket/a?endpoint=https://x/bucket":            "without bucket or path",
		"s3://bucket/a?endpoint=https://":                    "https://host",
		"s3://bucket/a#b":                                    "%23",
		"s3://bucket/%zz":                                    "%XX",
		"s3://bucket/" + strings.Repeat("long/", 120) + "x":  "longer than",
		"https://bucket.s3.amazonaws.com/prefix":             "s3://bucket/prefix",
		"sftp://host/dir":                                    "s3://bucket/prefix",
		"file:dir":                                           "file:///dir",
		"file://host/dir":                                    "file:///dir",
		"file:///dir?x=1":                                    "%3F",
		"s3://AKID:sEcReT@bucket/prefix":                     "environment",
		"s3://AKID:sEc/ReT+sEcReT@bucket/prefix":             "environment",
		"s3://bucket/a?endpoint=https://AKID:sEcReT@host":    "environment",
		"s3://bucket/a?endpoint=https://AKID:sE/sEcReT@host": "environment",
		"s3://bucket/a?secret_access_key=sEcReT":             "environment",
	} {
		loc, err := remote.ParseURL(url)
		if err == nil {
			t.Errorf("ParseURL(%q) = %+v, want an error", url, loc)
		} else if !strings.Contains(err.Error(), hint) || strings.Contains(err.Error(), "sEcReT") || strings.Contains(err.Error(), "AKID") {
			t.Errorf("ParseURL(%q): %v; want %q", url, err, hint)
		}
	}
}
