package remote_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"lifeboat/remote"
)

// A scene is a machine with files and environment variables; HOME is its directory.
type scene struct {
	dir string
	env map[string]string
}

// newScene makes one. $DIR stands for the directory in variables and files.
func newScene(t *testing.T, env, files map[string]string) scene {
	t.Helper()
	s := scene{t.TempDir(), map[string]string{}}
	s.env["HOME"], s.env["USERPROFILE"] = s.dir, s.dir
	s.env["AWS_EC2_METADATA_DISABLED"] = "true"
	for k, v := range env {
		s.env[k] = s.expand(v)
	}
	for name, content := range files {
		name = filepath.Join(s.dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(s.expand(content)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s scene) expand(text string) string { return strings.ReplaceAll(text, "$DIR", s.dir) }

func (s scene) open(t *testing.T, cfg remote.Config) (remote.Store, error) {
	cfg.URL = s.expand(cfg.URL)
	cfg.AccessKeyIDFile, cfg.SecretAccessKeyFile = s.expand(cfg.AccessKeyIDFile), s.expand(cfg.SecretAccessKeyFile)
	cfg.Getenv = func(name string) string { return s.env[name] }
	cfg.RetryFor = -1
	return remote.Open(t.Context(), cfg)
}

var credential = regexp.MustCompile(`Credential=([^/]*)/\d*/([^/]*)/s3/`)

// Which credentials and which region a request is signed with.
func TestCredentials(t *testing.T) {
	const keys = "aws_access_key_id = %s\naws_secret_access_key=;s%%(#x\n"
	envKeys := map[string]string{"AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "s"}
	shared := map[string]string{
		".aws/credentials": "[default]\n" + fmt.Sprintf(keys, "DEFAULT") + "[work]\n" + fmt.Sprintf(keys, "WORK") + "aws_session_token = TOKEN\n",
		".aws/config":      "[default]\nregion = def-1\ns3 =\n  addressing_style = path\n[profile work]\nregion=work-1 # comment\n[profile conf]\n" + fmt.Sprintf(keys, "CONF"),
		"id":               " FILE\n",
		"secret":           "s\r\n",
	}
	for _, c := range []struct {
		name   string
		env    map[string]string
		files  map[string]string
		cfg    remote.Config
		id     string
		region string
		token  string
	}{
		{name: "environment", env: envKeys, id: "ENV", region: "us-east-1"},
		{name: "environment before files", env: envKeys, files: shared, id: "ENV", region: "def-1"},
		{name: "environment before AWS_PROFILE", env: with(envKeys, "AWS_PROFILE", "work"), files: shared, id: "ENV", region: "work-1"},
		{name: "profile asked for before environment", env: envKeys, files: shared, cfg: remote.Config{Profile: "work"}, id: "WORK", region: "work-1", token: "TOKEN"},
		{name: "session", env: with(envKeys, "AWS_SESSION_TOKEN", "T"), id: "ENV", region: "us-east-1", token: "T"},
		{name: "white space", env: map[string]string{"AWS_ACCESS_KEY_ID": " ENV\n", "AWS_SECRET_ACCESS_KEY": "s\n"}, id: "ENV", region: "us-east-1"},
		{name: "default profile", files: shared, id: "DEFAULT", region: "def-1"},
		{name: "AWS_PROFILE", env: map[string]string{"AWS_PROFILE": "work"}, files: shared, id: "WORK", region: "work-1", token: "TOKEN"},
		{name: "keys in the config file", env: map[string]string{"AWS_PROFILE": "conf"}, files: shared, id: "CONF", region: "us-east-1"},
		{name: "files elsewhere", env: map[string]string{"AWS_SHARED_CREDENTIALS_FILE": "$DIR/c", "AWS_CONFIG_FILE": "$DIR/r"},
			files: map[string]string{"c": "[default]\n" + fmt.Sprintf(keys, "ELSE"), "r": "[default]\nregion = else-1\n"}, id: "ELSE", region: "else-1"},
		{name: "named files", env: envKeys, files: shared, cfg: remote.Config{AccessKeyIDFile: "$DIR/id", SecretAccessKeyFile: "$DIR/secret"}, id: "FILE", region: "def-1"},
		{name: "_FILE", env: map[string]string{"AWS_ACCESS_KEY_ID_FILE": "$DIR/id", "AWS_SECRET_ACCESS_KEY_FILE": "$DIR/secret", "AWS_SESSION_TOKEN_FILE": "$DIR/id"}, files: shared, id: "FILE", region: "def-1", token: "FILE"},
		{name: "half _FILE", env: map[string]string{"AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY_FILE": "$DIR/secret"}, files: shared, id: "ENV", region: "def-1"},
		{name: "AWS_REGION", env: with(envKeys, "AWS_REGION", "r-1", "AWS_DEFAULT_REGION", "r-2"), files: shared, id: "ENV", region: "r-1"},
		{name: "AWS_DEFAULT_REGION", env: with(envKeys, "AWS_DEFAULT_REGION", "r-2"), files: shared, id: "ENV", region: "r-2"},
		{name: "region given", env: with(envKeys, "AWS_REGION", "r-1"), files: shared, cfg: remote.Config{Region: "r-3"}, id: "ENV", region: "r-3"},
		{name: "region in URL", env: with(envKeys, "AWS_REGION", "r-1"), cfg: remote.Config{URL: "s3://bucket?region=r-4"}, id: "ENV", region: "r-4"},
		{name: "MINIO is not AWS", env: with(envKeys, "MINIO_ROOT_USER", "NO", "MINIO_ROOT_PASSWORD", "NO", "MINIO_ACCESS_KEY", "NO"), id: "ENV", region: "us-east-1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, false)
			if c.cfg.URL == "" {
				c.cfg.URL = "s3://bucket"
			}
			c.cfg.Endpoint = f.URL
			s, err := newScene(t, c.env, c.files).open(t, c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Delete(t.Context(), "key"); err != nil {
				t.Fatal(err)
			}
			r := f.requests[0]
			m := credential.FindStringSubmatch(r.Header.Get("Authorization"))
			if m == nil || m[1] != c.id || m[2] != c.region || r.Header.Get("X-Amz-Security-Token") != c.token {
				t.Errorf("signed as %q with token %q, want %s, %s and %q", r.Header.Get("Authorization"), r.Header.Get("X-Amz-Security-Token"), c.id, c.region, c.token)
			}
		})
	}
}

func with(m map[string]string, pairs ...string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
	}
	return out
}

// A program that fetches credentials, and the metadata service of a container.
func TestFetchedCredentials(t *testing.T) {
	answer, err := json.Marshal(map[string]any{"Version": 1, "AccessKeyId": "FETCHED", "SecretAccessKey": "s", "SessionToken": "T", "Token": "T", "Expiration": "2099-01-01T00:00:00Z"})
	if err != nil {
		t.Fatal(err)
	}
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", "Thu, 01 Jan 2099 00:00:00 GMT") // not the store's
		w.Write(answer)
	}))
	defer service.Close()
	cases := map[string]scene{
		"container": newScene(t, map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": service.URL}, nil),
	}
	if runtime.GOOS == "windows" {
		t.Log("not checked on Windows: credential_process")
	} else {
		cases["program"] = newScene(t, nil, map[string]string{
			"fetch":       "#!/bin/sh\ncat <<'.'\n" + string(answer) + "\n.\n",
			".aws/config": "[default]\ncredential_process = $DIR/fetch it\n",
		})
	}
	for name, machine := range cases {
		f := newFake(t, false)
		f.intercept = func(_ int, w http.ResponseWriter, r *http.Request) bool {
			w.Header()["Date"] = nil // else it would hide the other
			return false
		}
		s, err := machine.open(t, remote.Config{URL: "s3://bucket", Endpoint: f.URL})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := s.Delete(t.Context(), "key"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if a := f.requests[0].Header.Get("Authorization"); !strings.Contains(a, "Credential=FETCHED/") {
			t.Errorf("%s: signed as %q", name, a)
		}
		if now, err := s.Now(t.Context()); !errors.Is(err, remote.ErrUnavailable) {
			t.Errorf("%s: Now = %v, %v; want that of a server without a clock", name, now, err)
		}
	}
}

// Settings that are wrong are errors of Open, with the next step, and never access without or with
// other credentials. None of them looks like an absent or unavailable store.
func TestWrongSettings(t *testing.T) {
	keys := map[string]string{"AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "sEcReT"}
	for _, c := range []struct {
		name  string
		env   map[string]string
		files map[string]string
		cfg   remote.Config
		hint  string
	}{
		{name: "no credentials", hint: "set AWS_ACCESS_KEY_ID"},
		{name: "no secret", env: map[string]string{"AWS_ACCESS_KEY_ID": "ENV"}, hint: "set both"},
		{name: "no ID", env: map[string]string{"AWS_SECRET_ACCESS_KEY": "sEcReT"}, hint: "set both"},
		{name: "no secret, but a profile", env: map[string]string{"AWS_ACCESS_KEY_ID": "ENV"},
			files: map[string]string{".aws/credentials": "[default]\naws_access_key_id=A\naws_secret_access_key=sEcReT\n"}, hint: "set both"},
		{name: "half a profile", files: map[string]string{".aws/credentials": "[default]\naws_secret_access_key=sEcReT\n"}, hint: "give both"},
		{name: "half a pair of files", env: keys, files: map[string]string{"id": "A"}, cfg: remote.Config{AccessKeyIDFile: "$DIR/id"}, hint: "name both"},
		{name: "missing file", cfg: remote.Config{AccessKeyIDFile: "$DIR/id", SecretAccessKeyFile: "$DIR/secret"}, hint: "access_key_id_file"},
		{name: "empty file", files: map[string]string{"id": "A", "secret": "\n"}, cfg: remote.Config{AccessKeyIDFile: "$DIR/id", SecretAccessKeyFile: "$DIR/secret"}, hint: "secret_access_key_file"},
		{name: "not one secret", files: map[string]string{"id": "A", "secret": "sEcReT\nsEcReT"}, cfg: remote.Config{AccessKeyIDFile: "$DIR/id", SecretAccessKeyFile: "$DIR/secret"}, hint: "one secret"},
		{name: "value and file", env: with(keys, "AWS_SECRET_ACCESS_KEY_FILE", "$DIR/secret"), hint: "unset one"},
		{name: "no such profile", env: keys, cfg: remote.Config{Profile: "gone"}, hint: `"gone"`},
		{name: "no such AWS_PROFILE", env: with(keys, "AWS_PROFILE", "gone"), hint: `"gone"`},
		{name: "profile without keys", env: keys, files: map[string]string{".aws/config": "[profile x]\nregion=r\n"}, cfg: remote.Config{Profile: "x"}, hint: "aws_access_key_id"},
		{name: "role of nobody", files: map[string]string{".aws/config": "[default]\nrole_arn=arn:aws:iam::1:role/x\n"}, hint: "add source_profile"},
		{name: "role of a missing profile", files: map[string]string{".aws/config": "[default]\nrole_arn=arn:aws:iam::1:role/x\nsource_profile=y\n"}, hint: `profile "y"`},
		{name: "role of a profile without keys", files: map[string]string{".aws/config": "[default]\nrole_arn=arn:aws:iam::1:role/x\nsource_profile=y\n[profile y]\nregion=r\n"}, hint: "no credentials in what it names"},
		{name: "role of half a profile", files: map[string]string{".aws/config": "[default]\nrole_arn=arn:aws:iam::1:role/x\nsource_profile=y\n[profile y]\naws_secret_access_key=sEcReT\n"}, hint: "give both"},
		{name: "role of half the environment", env: map[string]string{"AWS_PROFILE": "x", "AWS_SECRET_ACCESS_KEY": "sEcReT"}, cfg: remote.Config{Profile: "x"},
			files: map[string]string{".aws/config": "[profile x]\nrole_arn=arn:aws:iam::1:role/x\ncredential_source=Environment\n"}, hint: "set both"},
		{name: "role of itself", files: map[string]string{".aws/config": "[default]\nrole_arn=arn:aws:iam::1:role/x\nsource_profile=y\n[profile y]\nrole_arn=arn:aws:iam::1:role/y\nsource_profile=default\n"}, hint: "leads back"},
		{name: "role with a device", files: map[string]string{".aws/config": "[default]\nrole_arn=arn:aws:iam::1:role/x\nmfa_serial=m\nsource_profile=default\n"}, hint: "credential_process"},
		{name: "token without role", env: map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "$DIR/token"}, hint: "AWS_ROLE_ARN"},
		{name: "container elsewhere", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/keys"}, hint: "AWS_CONTAINER_CREDENTIALS_FULL_URI"},
		{name: "no CA file of the profile", env: keys, files: map[string]string{".aws/config": "[default]\nca_bundle=$DIR/no\n"}, hint: "ca_bundle"},
		{name: "no ini", files: map[string]string{".aws/credentials": "[default\nsEcReT"}, hint: "AWS tools"},
		{name: "addressing", env: keys, cfg: remote.Config{Addressing: "dns"}, hint: "auto, path or virtual"},
		{name: "addressing variable", env: with(keys, "AWS_S3_ADDRESSING_STYLE", "dns"), hint: "auto, path or virtual"},
		{name: "endpoint", env: with(keys, "AWS_ENDPOINT_URL_S3", "https://host/path"), hint: "endpoint"},
		{name: "endpoint with secret", env: with(keys, "AWS_ENDPOINT_URL", "https://u:sEcReT@host"), hint: "endpoint"},
		{name: "two endpoints", env: keys, cfg: remote.Config{URL: "s3://bucket?endpoint=a", Endpoint: "b"}, hint: "once"},
		{name: "two regions", env: keys, cfg: remote.Config{URL: "s3://bucket?region=a", Region: "b"}, hint: "once"},
		{name: "region", env: with(keys, "AWS_REGION", "evil.example.com/"), hint: "eu-central-1"},
		{name: "no CA file", env: with(keys, "AWS_CA_BUNDLE", "$DIR/no"), hint: "AWS_CA_BUNDLE"},
		{name: "no CA in file", env: with(keys, "AWS_CA_BUNDLE", "$DIR/ca"), files: map[string]string{"ca": "sEcReT"}, hint: "AWS_CA_BUNDLE"},
		{name: "URL", env: keys, cfg: remote.Config{URL: "s3://bucket?prefix=x"}, hint: "endpoint and region"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.cfg.URL == "" {
				c.cfg.URL = "s3://bucket"
			}
			s, err := newScene(t, c.env, c.files).open(t, c.cfg)
			if err == nil || s != nil {
				t.Fatalf("Open = %v, %v; want an error", s, err)
			}
			if !strings.Contains(err.Error(), c.hint) || strings.Contains(err.Error(), "sEcReT") {
				t.Errorf("Open: %v; want %q and no secret", err, c.hint)
			}
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, remote.ErrUnavailable) {
				t.Errorf("Open: %v looks like an error of the store", err)
			}
		})
	}
}

// Credentials that must be fetched and cannot be are the store's unavailability, at once.
func TestUnfetchableCredentials(t *testing.T) {
	f := newFake(t, false)
	none := httptest.NewServer(nil)
	none.Close()
	for name, machine := range map[string]scene{
		"no program":      newScene(t, nil, map[string]string{".aws/config": "[default]\ncredential_process = $DIR/gone it\n"}),
		"failing service": newScene(t, map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": f.URL}, nil),
		"no service":      newScene(t, map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": none.URL}, nil),
		"no token":        newScene(t, map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "$DIR/gone", "AWS_ROLE_ARN": "arn:aws:iam::1:role/x"}, nil),
		"no SSO":          newScene(t, nil, map[string]string{".aws/config": "[default]\nsso_session = x\nsso_account_id = 1\nsso_role_name = y\n[sso-session x]\nsso_region = eu-1\nsso_start_url = https://example.invalid\n"}),
	} {
		s, err := machine.open(t, remote.Config{URL: "s3://bucket/app", Endpoint: f.URL})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		f.methods()
		for verb, call := range calls(t, s) {
			err := call()
			if !errors.Is(err, remote.ErrUnavailable) || errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "credentials") {
				t.Errorf("%s: %s: %v; want ErrUnavailable alone", name, verb, err)
			}
		}
		for _, r := range f.requests {
			if strings.HasPrefix(r.URL.Path, "/bucket") {
				t.Errorf("%s: %s %s was asked without credentials", name, r.Method, r.URL)
			}
		}
	}
}

// Which of several endpoints is asked shows in the store's URL.
func TestEndpointPrecedence(t *testing.T) {
	keys := map[string]string{"AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "s"}
	config := map[string]string{".aws/config": "[default]\nendpoint_url = http://profile\nservices = mine\n[services mine]\nsts =\n  endpoint_url = http://sts\ns3 =\n  endpoint_url = http://service\n"}
	plain := map[string]string{".aws/config": "[default]\nendpoint_url = http://profile\n"}
	ignore := "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
	for _, c := range []struct {
		env, files map[string]string
		want       string
	}{
		{keys, nil, "s3://bucket/"},
		{keys, plain, "s3://bucket/?endpoint=http%3A%2F%2Fprofile"},
		{keys, config, "s3://bucket/?endpoint=http%3A%2F%2Fservice"},
		{with(keys, "AWS_ENDPOINT_URL", "http://all"), config, "s3://bucket/?endpoint=http%3A%2F%2Fall"},
		{with(keys, "AWS_ENDPOINT_URL", "http://all", "AWS_ENDPOINT_URL_S3", "http://s3"), config, "s3://bucket/?endpoint=http%3A%2F%2Fs3"},
		{with(keys, "AWS_ENDPOINT_URL_STS", "http://sts"), nil, "s3://bucket/"},
		{with(keys, "AWS_ENDPOINT_URL_S3", "http://s3", ignore, "true"), config, "s3://bucket/"},
		{with(keys, "AWS_ENDPOINT_URL_S3", "http://s3", ignore, "false"), config, "s3://bucket/?endpoint=http%3A%2F%2Fs3"},
		{keys, map[string]string{".aws/config": "[default]\nignore_configured_endpoint_urls=true\nendpoint_url=http://profile\n"}, "s3://bucket/"},
	} {
		s, err := newScene(t, c.env, c.files).open(t, remote.Config{URL: "s3://bucket"})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.String(); strings.TrimSuffix(got, "/") != strings.TrimSuffix(c.want, "/") {
			t.Errorf("with %v and %q: %s, want %s", c.env, c.files[".aws/config"], got, c.want)
		}
	}
}

// Where the bucket's name goes, and which endpoint is asked.
func TestEndpoint(t *testing.T) {
	keys := map[string]string{"AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "s"}
	f := newFake(t, false)
	port := f.URL[strings.LastIndex(f.URL, ":"):]
	for _, c := range []struct {
		name       string
		env        map[string]string
		cfg        remote.Config
		host, path string
	}{
		{"path", keys, remote.Config{Endpoint: f.URL}, "127.0.0.1" + port, "/bucket/key"},
		{"URL", keys, remote.Config{URL: "s3://bucket?endpoint=" + f.URL}, "127.0.0.1" + port, "/bucket/key"},
		{"AWS_ENDPOINT_URL_S3", with(keys, "AWS_ENDPOINT_URL_S3", f.URL, "AWS_ENDPOINT_URL", "http://127.0.0.1:1"), remote.Config{}, "127.0.0.1" + port, "/bucket/key"},
		{"AWS_ENDPOINT_URL", with(keys, "AWS_ENDPOINT_URL", f.URL), remote.Config{}, "127.0.0.1" + port, "/bucket/key"},
		{"given before variable", with(keys, "AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1"), remote.Config{Endpoint: f.URL + "/"}, "127.0.0.1" + port, "/bucket/key"},
		{"configured URLs ignored, but for what is given", with(keys, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", "AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1"), remote.Config{Endpoint: f.URL}, "127.0.0.1" + port, "/bucket/key"},
		{"virtual", keys, remote.Config{Endpoint: "http://localhost" + port, Addressing: "virtual"}, "bucket.localhost" + port, "/key"},
		{"virtual by variable", with(keys, "AWS_S3_ADDRESSING_STYLE", "virtual"), remote.Config{Endpoint: "http://localhost" + port}, "bucket.localhost" + port, "/key"},
		{"given before variable, addressing", with(keys, "AWS_S3_ADDRESSING_STYLE", "virtual"), remote.Config{Endpoint: f.URL, Addressing: "path"}, "127.0.0.1" + port, "/bucket/key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.methods()
			if c.cfg.URL == "" {
				c.cfg.URL = "s3://bucket"
			}
			s, err := newScene(t, c.env, nil).open(t, c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			err = s.Delete(t.Context(), "key")
			if len(f.requests) == 0 { // bucket.localhost is no name on every machine
				if !strings.Contains(fmt.Sprint(err), c.host[:strings.Index(c.host, ":")]) {
					t.Errorf("Delete = %v; want host %s", err, c.host)
				}
				return
			}
			if r := f.requests[0]; r.Host != c.host || r.URL.Path != c.path {
				t.Errorf("asked %s%s, want %s%s", r.Host, r.URL.Path, c.host, c.path)
			}
		})
	}
	s, err := newScene(t, keys, nil).open(t, remote.Config{URL: "s3://bucket/app"})
	if err != nil || s.String() != "s3://bucket/app" {
		t.Errorf("at Amazon: %v, %v", s, err)
	}
}
