package config

import (
	"errors"
	"path/filepath"
	"strings"

	"lifeboat/remote"
)

// ParseRemote reads the URL of a remote from the command line, as [remote.ParseURL] does, but takes a
// relative path from dir. The error never repeats the URL, which may hold a secret.
func ParseRemote(rawURL, dir string) (Remote, error) {
	r := Remote{URL: rawURL}
	var problems []error
	for _, p := range r.normalize(dir) {
		problems = append(problems, errors.New(strings.TrimPrefix(p.text, "url: ")))
	}
	if len(problems) > 0 {
		return Remote{}, errors.Join(problems...)
	}
	return r, nil
}

// remoteProblem is what is wrong with a remote, and the key it is about.
type remoteProblem struct{ key, text string }

// normalize checks the settings of a remote against each other, makes the path of a directory absolute
// and fills in the name.
func (r *Remote) normalize(dir string) (problems []remoteProblem) {
	fail := func(key, text string) { problems = append(problems, remoteProblem{key, text}) }
	var loc remote.Location
	if r.URL == "~" || strings.HasPrefix(r.URL, "~/") {
		fail("url", "url: ~ is not expanded here; write the whole path")
	} else {
		if r.URL != "" && isPath(r.URL) && !filepath.IsAbs(r.URL) {
			r.URL = filepath.Join(dir, r.URL)
		}
		var err error
		if loc, err = remote.ParseURL(r.URL); err != nil {
			fail("url", "url: "+err.Error())
		}
	}
	if len(problems) == 0 {
		problems = r.checkSettings(loc)
	}
	if r.Name != "" {
		if err := checkName("remote", r.Name); err != nil {
			fail("name", err.Error())
		}
		return problems
	}
	if len(problems) == 0 {
		base := loc.Bucket
		if loc.Dir != "" {
			base = filepath.Base(loc.Dir)
		}
		if r.Name = fitName(base); r.Name == "" {
			fail("url", "the url gives no name; add name: to this remote")
		}
	}
	return problems
}

// checkSettings checks the settings beside the URL.
func (r *Remote) checkSettings(loc remote.Location) (problems []remoteProblem) {
	fail := func(key, text string) { problems = append(problems, remoteProblem{key, text}) }
	if loc.Bucket == "" {
		for _, setting := range []struct{ key, value string }{
			{"endpoint", r.Endpoint}, {"region", r.Region}, {"profile", r.Profile},
			{"access_key_id_file", r.AccessKeyIDFile}, {"secret_access_key_file", r.SecretAccessKeyFile},
		} {
			if setting.value != "" {
				fail(setting.key, setting.key+" is only for s3:// remotes")
			}
		}
		if r.RetryFor != 0 {
			fail("retry_for", "retry_for is only for s3:// remotes")
		}
		if r.Stall != 0 {
			fail("stall", "stall is only for s3:// remotes")
		}
		return problems
	}
	if r.Stall < 0 {
		fail("stall", "stall: want a time such as 30s; without a limit, a transfer that hangs would hang for ever")
	}
	if r.Endpoint != "" && loc.Endpoint != "" {
		fail("endpoint", "the endpoint is given here and in the url; keep one")
	}
	if r.Region != "" && loc.Region != "" {
		fail("region", "the region is given here and in the url; keep one")
	}
	if r.Endpoint != "" { // is right if it may stand in a URL
		_, err := remote.ParseURL(remote.Location{Bucket: loc.Bucket, Endpoint: r.Endpoint}.String())
		if err != nil {
			fail("endpoint", err.Error())
		}
	}
	switch id, secret := r.AccessKeyIDFile != "", r.SecretAccessKeyFile != ""; {
	case id && !secret:
		fail("access_key_id_file", "access_key_id_file without secret_access_key_file; give both or neither")
	case secret && !id:
		fail("secret_access_key_file", "secret_access_key_file without access_key_id_file; give both or neither")
	case id && r.Profile != "":
		fail("profile", "profile and key files are both given; keep one")
	}
	return problems
}

// isPath reports whether what names a remote is a path rather than a URL. One letter is no scheme but a
// drive.
func isPath(s string) bool {
	scheme, _, isURL := strings.Cut(s, "://")
	return (!isURL || len(scheme) < 2) && !strings.HasPrefix(s, "s3:") && !strings.HasPrefix(s, "file:")
}

// lastElement returns the last element of the prefix or directory, "" for a whole bucket.
func (r Remote) lastElement() string {
	loc, err := remote.ParseURL(r.URL)
	switch {
	case err != nil:
		return ""
	case loc.Dir != "":
		return filepath.Base(loc.Dir)
	}
	return loc.Prefix[strings.LastIndexByte(loc.Prefix, '/')+1:]
}
