package remote

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/s3utils"
)

// amazon is the endpoint when none is named. minio-go puts the region into it.
const amazon = "https://s3.amazonaws.com"

// settings are what Config, environment and shared files come to.
type settings struct {
	endpoint *url.URL
	region   string
	lookup   minio.BucketLookupType
	roots    *x509.CertPool // nil: the system's
	profile  profile
}

func resolve(loc Location, cfg Config) (settings, error) {
	env := environ(cfg.Getenv)
	var s settings
	var err error
	if s.profile, err = loadProfile(env, cfg.Profile); err != nil {
		return s, err
	}
	if s.endpoint, err = resolveEndpoint(loc, cfg, env, s.profile); err != nil {
		return s, err
	}
	if s.region, err = resolveRegion(loc, cfg, env, s); err != nil {
		return s, err
	}
	if s.lookup, err = resolveLookup(cfg, env, s.endpoint); err != nil {
		return s, err
	}
	s.roots, err = loadRoots(env, s.profile)
	return s, err
}

func resolveEndpoint(loc Location, cfg Config, env environ, p profile) (*url.URL, error) {
	if loc.Endpoint != "" && cfg.Endpoint != "" && loc.Endpoint != cfg.Endpoint {
		return nil, errors.New("the endpoint in the URL and the one beside it differ: give it once")
	}
	return parseEndpoint(first(loc.Endpoint, cfg.Endpoint, p.endpoint(env, "s3"), amazon))
}

func resolveRegion(loc Location, cfg Config, env environ, s settings) (string, error) {
	if loc.Region != "" && cfg.Region != "" && loc.Region != cfg.Region {
		return "", errors.New("the region in the URL and the one beside it differ: give it once")
	}
	region := first(loc.Region, cfg.Region, s3utils.GetRegionFromURL(*s.endpoint), env.get("AWS_REGION"),
		env.get("AWS_DEFAULT_REGION"), s.profile.value("region"), "us-east-1")
	// The region becomes part of Amazon's host name.
	if strings.ContainsFunc(region, func(r rune) bool { return r != '-' && r != '_' && !isAlphanumeric(r) }) {
		return "", fmt.Errorf("region %.40q: a region is letters, digits and hyphens, such as eu-central-1", region)
	}
	return region, nil
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// resolveLookup decides where the bucket's name goes. Most servers other than Amazon's have no DNS
// names for buckets; Amazon wants them, but its certificate does not cover a name with a dot in it.
func resolveLookup(cfg Config, env environ, endpoint *url.URL) (minio.BucketLookupType, error) {
	switch style := first(cfg.Addressing, env.get("AWS_S3_ADDRESSING_STYLE"), "auto"); style {
	case "path":
		return minio.BucketLookupPath, nil
	case "virtual":
		return minio.BucketLookupDNS, nil
	case "auto":
		if s3utils.IsAmazonEndpoint(*endpoint) {
			return minio.BucketLookupAuto, nil
		}
		return minio.BucketLookupPath, nil
	default:
		return 0, fmt.Errorf("addressing %.40q is not known: it is auto, path or virtual", style)
	}
}

func loadRoots(env environ, p profile) (*x509.CertPool, error) {
	setting, name := "AWS_CA_BUNDLE", env.get("AWS_CA_BUNDLE")
	if name == "" {
		setting, name = fmt.Sprintf("ca_bundle of profile %q", p.name), p.value("ca_bundle")
	}
	if name == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %v", setting, name, cause(err))
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: %s holds no certificate in PEM", setting, name)
	}
	return roots, nil
}

// first returns the first value that is not empty.
func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
