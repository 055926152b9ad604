package remote

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/minio/minio-go/v7/pkg/s3utils"
)

// A Location says where a store is: a bucket, or a directory.
type Location struct {
	Dir string // absolute path of a directory, or "" for a bucket

	Bucket   string
	Prefix   string // of the keys, without slashes at its ends; may be ""
	Endpoint string // of the S3 server, as it was written; may be ""
	Region   string // may be ""
}

// ParseURL understands
//
//	s3://bucket/prefix?endpoint=https://s3.example.com&region=eu-1
//	file:///var/backups/app
//	/var/backups/app, ../app, C:\backups\app
//
// Query keys, prefix and endpoint are optional, and special characters in a URL (not in a path) are written as
// %XX. A relative path is taken from the working directory. Errors show nothing of a URL that may
// hold a secret.
func ParseURL(s string) (Location, error) {
	scheme, _, hasScheme := strings.Cut(s, ":")
	switch {
	case s == "":
		return Location{}, errors.New("the store's URL is empty: give s3://bucket/prefix, file:///dir or a path")
	case scheme == "s3" && hasScheme:
		return parseS3(s)
	case scheme == "file" && hasScheme:
		return parseFile(s)
	case len(scheme) > 1 && strings.HasPrefix(s[len(scheme):], "://"):
		what := "what stands before :// in the store's URL"
		if isScheme(scheme) {
			what = fmt.Sprintf("%.20q", scheme)
		}
		return Location{}, fmt.Errorf("%s is no kind of store: give s3://bucket/prefix?endpoint=https://host, file:///dir or a path", what)
	}
	dir, err := filepath.Abs(s)
	if err != nil {
		return Location{}, fmt.Errorf("path %q: %w", s, err)
	}
	return Location{Dir: dir}, nil
}

// isScheme reports whether a text can be the scheme of a URL (RFC 3986, section 3.1), and so holds no secret.
func isScheme(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("+-.", r))
	}) < 0
}

func parseS3(s string) (Location, error) {
	u, err := parsePlain(s)
	if err != nil {
		return Location{}, err
	}
	if u.Opaque != "" || u.Host == "" {
		return Location{}, errors.New("the URL of a bucket has two slashes and a name: s3://bucket/prefix")
	}
	loc := Location{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	err = s3utils.CheckValidBucketName(loc.Bucket)
	if u.Port() != "" {
		err = errors.New("it has a port")
	}
	if err != nil {
		return Location{}, fmt.Errorf("bucket %s: %w: the form is s3://bucket/prefix?endpoint=https://host", shown(loc.Bucket), err)
	}
	if loc.Prefix != "" {
		if len(loc.Prefix) > maxPrefix {
			return Location{}, fmt.Errorf("the prefix in the URL is longer than %d bytes", maxPrefix)
		}
		if err := checkKey(loc.Prefix); err != nil {
			if strings.Contains(loc.Prefix, "@") {
				return Location{}, errors.New("the prefix in the URL is no key, and has an @: a URL must not hold a secret, so it is not shown")
			}
			return Location{}, fmt.Errorf("prefix: %w", err)
		}
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Location{}, errors.New("the part of the URL after ? is malformed: give ?endpoint=https://host&region=name")
	}
	for name, values := range query {
		if len(values) != 1 {
			return Location{}, fmt.Errorf("%s occurs %d times in the URL: give it once", shown(name), len(values))
		}
		switch name {
		case "endpoint":
			loc.Endpoint = values[0]
		case "region":
			loc.Region = values[0]
		default:
			return Location{}, fmt.Errorf("%s is not known in the URL of a bucket: there are endpoint and region; credentials come from the environment", shown(name))
		}
	}
	if loc.Endpoint != "" {
		if _, err := parseEndpoint(loc.Endpoint); err != nil {
			return Location{}, err
		}
	}
	return loc, nil
}

// shown is a part of a URL for a message, unless it may hold a secret.
func shown(part string) string {
	if strings.Contains(part, "@") {
		return "what has an @"
	}
	return fmt.Sprintf("%.40q", part)
}

func parseFile(s string) (Location, error) {
	u, err := parsePlain(s)
	if err != nil {
		return Location{}, err
	}
	if u.Opaque != "" || u.Path == "" || u.Host != "" && u.Host != "localhost" {
		return Location{}, errors.New("the URL of a directory has three slashes: file:///dir; a relative path stands alone")
	}
	if u.RawQuery != "" {
		return Location{}, errors.New("the URL of a directory has no query: write %3F for a question mark in its name")
	}
	dir := u.Path
	if runtime.GOOS == "windows" {
		dir = strings.TrimPrefix(dir, "/") // file:///C:/dir
	}
	return Location{Dir: filepath.Clean(filepath.FromSlash(dir))}, nil
}

// parsePlain parses a URL without user and fragment. Neither it nor its errors show the URL: people
// put secrets into them.
func parsePlain(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err == nil && u.User != nil, err != nil && strings.Contains(s, "@"):
		return nil, errors.New("a URL must not hold a user or a secret: put credentials into the environment or a file")
	case err != nil:
		return nil, errors.New("the URL is malformed: give s3://bucket/prefix?endpoint=https://host or file:///dir, with special characters as %XX")
	case u.Fragment != "" || strings.Contains(s, "#"):
		return nil, errors.New("the URL has a #: write %23")
	}
	return u, nil
}

// parseEndpoint understands https://host, http://host:port, and host:port, which is https.
func parseEndpoint(s string) (*url.URL, error) {
	full := s
	if !strings.Contains(s, "://") {
		full = "https://" + s
	}
	u, err := parsePlain(full)
	switch {
	case err != nil:
		return nil, fmt.Errorf("endpoint: %w", err)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("endpoint: %.20q is not known: give https://host or http://host:port", u.Scheme)
	case u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
		return nil, errors.New("endpoint: it is the server's address alone, https://host or http://host:port, without bucket or path")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// String returns the URL that ParseURL reads as this location.
func (l Location) String() string {
	if l.Dir != "" {
		p := filepath.ToSlash(l.Dir)
		if !strings.HasPrefix(p, "/") {
			p = "/" + p
		}
		return (&url.URL{Scheme: "file", Path: p}).String()
	}
	u := url.URL{Scheme: "s3", Host: l.Bucket, Path: "/" + l.Prefix}
	query := url.Values{}
	if l.Endpoint != "" {
		query.Set("endpoint", l.Endpoint)
	}
	if l.Region != "" {
		query.Set("region", l.Region)
	}
	u.RawQuery = query.Encode()
	return u.String()
}
