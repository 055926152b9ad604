package integration_test

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/integration/miniotest"
)

// What is wrong with a remote is said in one message with the next step, at once: no request is repeated that repeating cannot mend.
func TestRefusals(t *testing.T) {
	server := miniotest.Start(t)
	bucket := server.Bucket(t)
	app := filepath.Join(t.TempDir(), "app")
	writeFile(t, filepath.Join(app, "file"), "content")
	url := "s3://" + bucket + "/app"
	newMachine(t, server).must(nil, "backup", app, "--remote", url)

	elsewhere := server.Front(t, miniotest.Vendor{}) // no credentials may come here
	redirect := func(status int, region string) *miniotest.Vendor {
		return &miniotest.Vendor{Serve: func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Location", elsewhere.Endpoint+r.URL.Path)
			if region != "" {
				w.Header().Set("x-amz-bucket-region", region)
			}
			return refuse(w, status, map[int]string{301: "PermanentRedirect", 307: "TemporaryRedirect"}[status], "The bucket you are attempting to access must be addressed using the specified endpoint.")
		}}
	}
	all := func(status int, code, message string) *miniotest.Vendor {
		return &miniotest.Vendor{Serve: func(w http.ResponseWriter, r *http.Request) bool {
			io.Copy(io.Discard, r.Body)
			return refuse(w, status, code, message)
		}}
	}
	may := func(actions ...string) []string {
		statements := []miniotest.Statement{{Actions: actions, Resources: []string{bucket, bucket + "/*"}}}
		return server.User(t, miniotest.Policy(statements...)).Environ()
	}
	list, backup := []string{"list"}, []string{"backup", app}
	restore := []string{"restore", "latest", "--target", "r"}
	for _, c := range []struct {
		name     string
		env      []string // beside the server's
		vendor   *miniotest.Vendor
		url      string // "": of the store that is there
		endpoint func(e string) string
		args     []string
		code     int
		says     string // pattern of the message and the next step
		requests int    // at most; a backup looks again when its snapshot is made
	}{
		{name: "wrong key", env: []string{"AWS_ACCESS_KEY_ID=AKIDWRONG"}, args: list, code: 14, says: `does not know the access key: check AWS_ACCESS_KEY_ID or the profile`, requests: 1},
		{name: "wrong secret", env: []string{"AWS_SECRET_ACCESS_KEY=wrong"}, args: list, code: 14, says: `the secret access key is wrong: check AWS_SECRET_ACCESS_KEY`, requests: 1},
		{name: "wrong secret, backup", env: []string{"AWS_SECRET_ACCESS_KEY=wrong"}, args: backup, code: 14, says: `the secret access key is wrong: check AWS_SECRET_ACCESS_KEY`, requests: 2},
		{name: "half a pair", env: []string{"AWS_SECRET_ACCESS_KEY="}, args: list, code: 64, says: `AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not: set both or neither`},
		{name: "half a pair, the other half", env: []string{"AWS_ACCESS_KEY_ID="}, args: list, code: 64, says: `AWS_SECRET_ACCESS_KEY is set, AWS_ACCESS_KEY_ID is not: set both or neither`},
		{name: "no such bucket", url: "s3://no-such-bucket-anywhere/app", args: list, code: 14, says: `there is no bucket "no-such-bucket-anywhere" at .*: make it, or correct the URL or the endpoint`, requests: 1},
		{name: "no such bucket, backup", url: "s3://no-such-bucket-anywhere/app", args: backup, code: 14, says: `there is no bucket "no-such-bucket-anywhere" at .*: make it, or correct the URL or the endpoint`, requests: 2},
		{name: "clock", vendor: &miniotest.Vendor{
			Serve: func(_ http.ResponseWriter, r *http.Request) bool { // what arrives is two hours old, and MinIO says so
				r.Header.Set("X-Amz-Date", time.Now().Add(-2*time.Hour).UTC().Format("20060102T150405Z"))
				return false
			},
			Answer: func(resp *http.Response) error {
				resp.Header.Set("Date", time.Now().Add(2*time.Hour).UTC().Format(http.TimeFormat))
				return nil
			},
		}, args: list, code: 14, says: `the clocks differ: the server says it is \S+Z, this machine \S+Z: set this machine's clock`, requests: 1},
		{name: "301 to a region", vendor: redirect(301, "eu-west-9"), args: list, code: 14, says: `the bucket is in region "?eu-west-9"?, not in "us-east-1": add region=eu-west-9 to the URL, or set AWS_REGION`, requests: 1},
		{name: "307", vendor: redirect(307, ""), args: list, code: 14, says: `check the region and the endpoint`, requests: 1},
		{name: "301, backup", vendor: redirect(301, "eu-west-9"), args: backup, code: 14, says: `add region=eu-west-9 to the URL, or set AWS_REGION`, requests: 2},
		{name: "malformed for the region", vendor: all(400, "AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong; expecting 'eu-west-9'"), args: list, code: 14, says: `eu-west-9.*: check the region and the endpoint`, requests: 1},
		{name: "expired token", vendor: all(400, "ExpiredToken", "The provided token has expired."), args: list, code: 14, says: `temporary credentials have expired or are not valid: renew them`, requests: 1},
		{name: "token that is none", env: []string{"AWS_SESSION_TOKEN=none"}, args: list, code: 14, says: `temporary credentials have expired or are not valid: renew them`, requests: 1},
		{name: "may not list", env: may("GetObject", "PutObject", "DeleteObject"), args: list, code: 14, says: `not allowed: .*: allow these credentials s3:ListBucket on ` + bucket, requests: 1},
		{name: "may not get", env: may("ListBucket", "PutObject", "DeleteObject"), args: restore, code: 14, says: `not allowed: .*: allow these credentials s3:GetObject on ` + bucket + `/app/\*`, requests: 4},
		{name: "may not put", env: may("ListBucket", "GetObject", "DeleteObject"), args: backup, code: 14, says: `not allowed: .*: allow these credentials s3:PutObject on ` + bucket + `/app/\*`},
		{name: "a server of one's own: plain http", endpoint: func(e string) string { return strings.Replace(e, "http://", "https://", 1) }, args: list, code: 14, says: `speaks plain http: write http:// in the endpoint`},
		{name: "https", vendor: &miniotest.Vendor{TLS: true}, endpoint: func(e string) string { return strings.Replace(e, "https://", "http://", 1) }, args: list, code: 14, says: `wants https: write https:// in the endpoint`},
		{name: "authority", vendor: &miniotest.Vendor{TLS: true}, args: list, code: 14, says: `certificate.*: for a certificate of your own, name the file of its authority in AWS_CA_BUNDLE`},
		{name: "login page", vendor: &miniotest.Vendor{Serve: func(w http.ResponseWriter, r *http.Request) bool {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>Please log in</html>")
			return true
		}}, args: backup, code: 14, says: `not the answer of an S3 server.*: check the endpoint .*, and whether a proxy or a login page answers`, requests: 2},
		{name: "nobody", endpoint: func(string) string { return "http://127.0.0.1:1" }, args: list, code: 14, says: `cannot connect to http://127.0.0.1:1: .*: is the server running`},
	} {
		t.Run(c.name, func(t *testing.T) {
			vendor := miniotest.Vendor{}
			if c.vendor != nil {
				vendor = *c.vendor
			}
			front := server.Front(t, vendor)
			m := newMachine(t, front.Server)
			m.env = append(m.env, c.env...)
			endpoint := front.Endpoint
			if c.endpoint != nil {
				endpoint = c.endpoint(endpoint)
			}
			m.env = append(m.env, "AWS_ENDPOINT_URL_S3="+endpoint)
			remote := url
			if c.url != "" {
				remote = c.url
			}
			elsewhere.Taken()
			_, errs, code := m.run(append(slices.Clone(c.args), "--remote", remote)...)
			if code != c.code || !regexp.MustCompile(c.says).MatchString(strings.NewReplacer("\n  next: ", ": ", "; ", ": ").Replace(errs)) {
				t.Errorf("exit code %d, want %d and %q\n%s", code, c.code, c.says, errs)
			}
			requests := front.Taken()
			if c.requests > 0 && len(requests) > c.requests {
				t.Errorf("%d requests, want at most %d: %v", len(requests), c.requests, named(requests))
			}
			if got := elsewhere.Taken(); len(got) > 0 {
				t.Errorf("another host was asked, with %v", got[0].Header)
			}
			if strings.Contains(errs, server.SecretKey) {
				t.Error("the secret is in the message")
			}
		})
	}
}

// Credentials that may not delete are a stated outcome of a prune and no obstacle to a backup; what was to go is whole, and the next prune with others
// removes it.
func TestPruneThatMayNotDelete(t *testing.T) {
	server := miniotest.Start(t)
	bucket := server.Bucket(t)
	m := newMachine(t, server)
	app := filepath.Join(t.TempDir(), "app")
	remote := []string{"--remote", "s3://" + bucket + "/app"}
	for _, content := range []string{"1", "2", "3"} {
		writeFile(t, filepath.Join(app, "file"), content)
		if _, errs, code := m.run(append([]string{"backup", app}, remote...)...); code != 0 {
			t.Fatalf("backup: exit code %d: %s", code, errs)
		}
	}
	own := m.env
	m.env = append(slices.Clone(own), server.User(t, miniotest.Policy(miniotest.Statement{Actions: []string{"ListBucket", "GetObject", "PutObject"}, Resources: []string{bucket, bucket + "/*"}})).Environ()...)
	out, errs, code := m.run(append([]string{"prune", "--keep-last", "1", "--json"}, remote...)...)
	if code != 3 || !strings.Contains(out, `"refused": true`) || strings.Count(errs, "refused to remove manifests/") != 2 {
		t.Errorf("prune: exit code %d\n%s\n%s", code, out, errs)
	}
	if _, errs, code := m.run(append([]string{"backup", app, "--prune", "--keep-last", "1"}, remote...)...); code != 0 || !strings.Contains(errs, "refused to remove") {
		t.Errorf("backup --prune: exit code %d, want 0 and a warning: %s", code, errs)
	}
	if _, errs, code := m.run(append([]string{"validate", "--all", "--read-data"}, remote...)...); code != 0 {
		t.Errorf("validate: exit code %d: %s", code, errs)
	}
	m.env = own
	if out, errs, code := m.run(append([]string{"prune", "--keep-last", "1"}, remote...)...); code != 0 || !strings.Contains(out, "3 snapshots removed, 1 stays") {
		t.Errorf("prune: exit code %d\n%s\n%s", code, out, errs)
	}
	if out, errs, code := m.run(append([]string{"prune", "--undo"}, remote...)...); code != 0 || strings.Count(out, "put back ") != 3 {
		t.Errorf("undo: exit code %d\n%s\n%s", code, out, errs)
	}
	if _, errs, code := m.run(append([]string{"validate", "--all", "--read-data"}, remote...)...); code != 0 {
		t.Errorf("validate: exit code %d: %s", code, errs)
	}
}

// named are the methods and addresses of requests.
func named(requests []*http.Request) (list []string) {
	for _, r := range requests {
		list = append(list, r.Method+" "+r.URL.String())
	}
	return list
}
