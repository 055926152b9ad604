package config_test

import (
	"errors"
	"strings"
	"testing"

	"lifeboat/internal/config"
)

func asError(err error, target **config.Error) bool { return errors.As(err, target) }

func TestParseRemote(t *testing.T) {
	for _, tt := range []struct{ raw, url, name string }{
		{"s3://bucket", "s3://bucket", "bucket"},
		{"s3://bucket/a/b@c/", "s3://bucket/a/b@c/", "bucket"},
		{"s3://my.bucket/p?endpoint=http://127.0.0.1:9000&region=x", "s3://my.bucket/p?endpoint=http://127.0.0.1:9000&region=x", "my.bucket"},
		{"s3://bkt/p?endpoint=https%3A%2F%2Fhost%2F", "s3://bkt/p?endpoint=https%3A%2F%2Fhost%2F", "bkt"},
		{"file:///mnt/Disk 1", "file:///mnt/Disk 1", "disk-1"},
		{"backups/vw", at("work", "backups", "vw"), "vw"},
		{"./a@b", at("work", "a@b"), "a-b"},
		{"0://x", at("work", "0:", "x"), "x"},
		{at("mnt", "vw"), at("mnt", "vw"), "vw"},
	} {
		got, err := config.ParseRemote(tt.raw, at("work"))
		if err != nil {
			t.Errorf("ParseRemote(%q): %v", tt.raw, err)
			continue
		}
		if got.URL != tt.url || got.Name != tt.name {
			t.Errorf("ParseRemote(%q) = %q named %q, want %q named %q", tt.raw, got.URL, got.Name, tt.url, tt.name)
		}
	}
}

// No message may repeat a secret, and no form of a URL may carry one past the check.
func TestSecretsAreRefusedAndNotRepeated(t *testing.T) {
	const secret = "hunter2"
	for _, url := range []string{
		"s3://AKIA:hunter2@bucket/prefix",
		"s3://hunter2@bucket",
		"s3://AKIA:hunter2/more@bucket/prefix",
		"s3://AKIA:hunter2",
		"s3://bkt?endpoint=https://u:hunter2@host",
		"s3://bkt?endpoint=https%3A%2F%2Fu%3Ahunter2%40host",
		"s3://bkt?secret=hunter2",
		"s3://bkt?%zzhunter2",
		"s3://bkt?a;hunter2",
		"https://u:hunter2@host/bucket",
		"https://host/hunter2",
		"file://u:hunter2@host/x",
		"file:///x?hunter2",
		"gs://hunter2",
		"s3:hunter2",
	} {
		_, err := config.ParseRemote(url, at("work"))
		if err == nil {
			t.Errorf("ParseRemote(%q) succeeded", url)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("ParseRemote(%q) repeats the secret: %v", url, err)
		}
		_, err = parse("remotes:\n- url: '" + url + "'\n")
		if err == nil {
			t.Errorf("Parse with the url %q succeeded", url)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("Parse with the url %q repeats the secret: %v", url, err)
		}
	}
	for _, endpoint := range []string{
		"https://u:hunter2@host", "u:hunter2@host", "ftp://hunter2", "https://host/hunter2", "https://host?hunter2", "https://hunter2 x", "https://:80:hunter2",
	} {
		_, err := parse("remotes:\n- url: s3://bkt\n  endpoint: '" + endpoint + "'\n")
		if err == nil {
			t.Errorf("Parse with the endpoint %q succeeded", endpoint)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("Parse with the endpoint %q repeats the secret: %v", endpoint, err)
		}
	}
}

func TestRefusedRemotes(t *testing.T) {
	for url, want := range map[string]string{
		"":                               "empty",
		"s3://":                          "s3://bucket/prefix",
		"s3:bucket":                      "s3://bucket/prefix",
		"gs://bucket":                    "no kind of store",
		"~/backups":                      "not expanded",
		"file://host/dir":                "three slashes",
		"s3://bkt/../x":                  "prefix",
		"s3://bkt?endpoint=ftp://a":      "endpoint",
		"s3://bkt?endpoint=http://a&x=1": `"x"`,
	} {
		if _, err := config.ParseRemote(url, at("work")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseRemote(%q) = %v, want %q in it", url, err, want)
		}
	}
}
