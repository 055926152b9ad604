package config

import (
	"errors"
	"net/url"
	"path/filepath"
	"strings"
)

// ParseRemote reads the URL of a remote from the command line: s3://bucket/prefix, which may end in
// ?endpoint=URL&region=NAME, or file:///directory, or a path, which is taken from dir if it is
// relative. The error never repeats the URL, which may hold a secret.
func ParseRemote(rawURL, dir string) (Remote, error) {
	r := Remote{URL: rawURL}
	var problems []error
	for _, p := range r.normalize(dir) {
		problems = append(problems, errors.New(p.text))
	}
	if len(problems) > 0 {
		return Remote{}, errors.Join(problems...)
	}
	return r, nil
}

// remoteProblem is what is wrong with a remote, and the key it is about.
type remoteProblem struct{ key, text string }

const secretInURL = " holds a user name or password, or something that looks like one: " +
	"give keys through the environment, a profile, or access_key_id_file and secret_access_key_file"

// normalize checks the settings of a remote against each other, makes the path of a directory absolute
// and fills in the name.
func (r *Remote) normalize(dir string) (problems []remoteProblem) {
	fail := func(key, text string) { problems = append(problems, remoteProblem{key, text}) }
	name := ""
	scheme, rest, isURL := strings.Cut(r.URL, "://")
	switch {
	case isURL && scheme == "s3":
		bucket, text := r.checkS3(rest)
		if text != "" {
			fail("url", text)
		}
		name = bucket
	case isURL && scheme == "file":
		switch {
		case hasUserinfo(rest):
			fail("url", "url"+secretInURL)
		case !strings.HasPrefix(rest, "/"):
			fail("url", "url: want file:///directory, with three slashes")
		case strings.ContainsAny(rest, "?#"):
			fail("url", "url: the path of a file:// URL ends before ? and #; write the path alone")
		}
		name = filepath.Base(rest)
	case isURL && hasUserinfo(rest):
		fail("url", "url"+secretInURL)
	case isURL || strings.HasPrefix(r.URL, "s3:"):
		fail("url", "url: want s3://bucket/prefix, file:///directory or a path")
	case r.URL == "" || strings.HasPrefix(r.URL, "~/"):
		fail("url", "url: want s3://bucket/prefix, file:///directory or a path (~ is not expanded)")
	default:
		if !filepath.IsAbs(r.URL) {
			r.URL = filepath.Join(dir, r.URL)
		}
		r.URL = filepath.Clean(r.URL)
		name = filepath.Base(r.URL)
	}
	problems = append(problems, r.checkSettings(isURL && scheme == "s3")...)

	if r.Name != "" {
		if err := checkName("remote", r.Name); err != nil {
			fail("name", err.Error())
		}
	} else if r.Name = fitName(name); r.Name == "" && len(problems) == 0 {
		fail("url", "the url gives no name; add name: to this remote")
	}
	return problems
}

// checkS3 checks what follows s3:// and returns the bucket.
func (r *Remote) checkS3(rest string) (bucket, problem string) {
	location, query, _ := strings.Cut(rest, "?")
	bucket, _, _ = strings.Cut(location, "/")
	// A secret key may hold a slash, which ends the user information early and leaves a colon.
	if hasUserinfo(rest) || strings.Contains(bucket, ":") {
		return "", "url" + secretInURL
	}
	if bucket == "" {
		return "", "url: the bucket is missing; want s3://bucket/prefix"
	}
	if strings.Contains(rest, "#") {
		return "", "url: a # is not allowed in an s3:// URL"
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", "url: what follows the ? is not key=value&key=value"
	}
	endpoint, region := values["endpoint"], values["region"]
	switch {
	case len(values) > min(len(endpoint), 1)+min(len(region), 1):
		return "", "url: only endpoint= and region= may follow the ?"
	case len(endpoint) > 1, len(endpoint) == 1 && r.Endpoint != "":
		return "", "url: the endpoint is given twice"
	case len(region) > 1, len(region) == 1 && r.Region != "":
		return "", "url: the region is given twice"
	case len(endpoint) == 1:
		if text := checkEndpoint(endpoint[0]); text != "" {
			return "", "url: " + text
		}
	}
	return bucket, ""
}

// checkSettings checks the settings beside the URL.
func (r *Remote) checkSettings(s3 bool) (problems []remoteProblem) {
	fail := func(key, text string) { problems = append(problems, remoteProblem{key, text}) }
	if !s3 {
		for _, setting := range []struct{ key, value string }{
			{"endpoint", r.Endpoint}, {"region", r.Region}, {"profile", r.Profile},
			{"access_key_id_file", r.AccessKeyIDFile}, {"secret_access_key_file", r.SecretAccessKeyFile},
		} {
			if setting.value != "" {
				fail(setting.key, setting.key+" is only for s3:// remotes")
			}
		}
		return problems
	}
	if r.Endpoint != "" {
		if text := checkEndpoint(r.Endpoint); text != "" {
			fail("endpoint", text)
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

// checkEndpoint returns what is wrong with the address of an S3 server, or "".
func checkEndpoint(endpoint string) string {
	const want = "endpoint: want https://host or http://host:port"
	scheme, rest, ok := strings.Cut(endpoint, "://")
	switch {
	case strings.Contains(endpoint, "@"):
		return "endpoint" + secretInURL
	case !ok || scheme != "https" && scheme != "http":
		return want
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || strings.TrimSuffix(rest, "/") != u.Host {
		return want
	}
	return ""
}

// hasUserinfo reports whether a URL, without its scheme, has a user name before its host.
func hasUserinfo(rest string) bool {
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	return strings.Contains(authority, "@")
}

// lastElement returns the last element of the prefix or directory, "" for a whole bucket.
func (r Remote) lastElement() string {
	rest, isS3 := strings.CutPrefix(r.URL, "s3://")
	if !isS3 {
		return filepath.Base(strings.TrimPrefix(r.URL, "file://"))
	}
	location, _, _ := strings.Cut(rest, "?")
	_, prefix, _ := strings.Cut(strings.Trim(location, "/"), "/")
	return prefix[strings.LastIndexByte(prefix, '/')+1:]
}
