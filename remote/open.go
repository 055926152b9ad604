package remote

import (
	"context"
	"fmt"
	"os"
	"time"
)

// Config is what a person may say about a store: its URL, and for a bucket how to get there. All but
// the URL may be left out; then the conventions of the AWS tools apply:
//
//	credentials  1. AccessKeyIDFile and SecretAccessKeyFile; 2. the profile named by Profile;
//	             3. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, each of which may
//	             be given as a file's name in a variable of the same name with _FILE after it;
//	             4. AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN; 5. the profile AWS_PROFILE, else "default", of
//	             AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE (~/.aws/credentials, ~/.aws/config): keys, SSO,
//	             credential_process, or a role_arn with source_profile, credential_source or web_identity_token_file;
//	             6. AWS_CONTAINER_CREDENTIALS_*; 7. the machine's role (EC2), unless AWS_EC2_METADATA_DISABLED is
//	             true. Never none: access is not anonymous. Those that expire are renewed.
//	endpoint     the URL's, Endpoint, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, endpoint_url of the profile's
//	             services or of the profile (all but the first two unless AWS_IGNORE_CONFIGURED_ENDPOINT_URLS
//	             is true), Amazon. https://host, http://host:port, or host:port, which is https.
//	region       the URL's, Region, the one in an Amazon endpoint's name, AWS_REGION, AWS_DEFAULT_REGION,
//	             region of the profile, us-east-1
//	addressing   Addressing, AWS_S3_ADDRESSING_STYLE, auto
//	trust        AWS_CA_BUNDLE, ca_bundle of the profile: a file of certificates (PEM) in place of the system's
//
// The conventions are those of https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html.
type Config struct {
	URL string // s3://bucket/prefix?endpoint=&region=, file:///dir, or a path; see ParseURL

	Create bool // make the directory of a directory store if it is missing

	Endpoint string // of the S3 server
	Region   string // of the bucket
	Profile  string // in the AWS tools' shared files

	// AccessKeyIDFile and SecretAccessKeyFile name files that hold the credentials and nothing else
	// but white space at their ends. There are both or neither.
	AccessKeyIDFile     string
	SecretAccessKeyFile string

	// Addressing says where the bucket's name goes: "path" (host/bucket/key), "virtual"
	// (bucket.host/key), or "auto", which is also "": virtual at Amazon, path elsewhere.
	Addressing string

	// RetryFor is how long a server is waited for that has answered before and does not now: from the first request that fails on,
	// whatever number of them does, until one is answered. 0 means DefaultRetryFor, a negative value a single attempt. A server that never
	// answered is not waited for.
	RetryFor time.Duration

	// Stall is for how long nothing may move, in either direction, before an attempt counts as failed and is repeated; 0 means
	// DefaultStall. How long a transfer takes as a whole is not limited.
	Stall time.Duration

	// Upload and Download, if set, pace the bytes of objects that go to the server and come from it. Stores may share them.
	Upload, Download Limiter

	// Known, if set, reports whether a server is known to have answered in an earlier run. It is asked once at most, and gets the URL
	// of the store as String returns it.
	Known func(url string) bool

	// Outage, if set, is told when a server has been away for some seconds, then each minute, and when it is back. It is called by whatever
	// goroutine uses the store, one call at a time, and must not use the store.
	Outage func(Outage)

	// Recall returns what Learned was told of the store at url in an earlier run, and Learned is told, once for each discovery,
	// what its server was found to refuse. Both may be nil: then every run finds out by itself, by a refused upload or two.
	// Learned may be called by any goroutine that calls Put.
	Recall  func(url string) Refusals
	Learned func(url string, r Refusals)

	Version string                   // of this program, for the User-Agent
	Getenv  func(name string) string // looks up environment variables; nil is os.Getenv
}

// Open makes the store that cfg describes. It reads settings and files but speaks to no server, so an
// error of it is one of the settings; whether the store can be reached shows in the first call. ctx
// bounds only Open.
func Open(ctx context.Context, cfg Config) (Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	loc, err := ParseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	if loc.Dir != "" {
		d, err := NewDir(loc.Dir, DirOptions{Create: cfg.Create})
		if err != nil {
			return nil, err
		}
		return d, nil
	}
	if cfg.Getenv == nil {
		cfg.Getenv = os.Getenv
	}
	s, err := newS3(loc, cfg)
	if err != nil {
		return nil, fmt.Errorf("settings of s3://%s: %w", loc.Bucket, err)
	}
	return s, nil
}
