package integration_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/integration/miniotest"
)

// A cloud is a fake of the services that give credentials: a Security Token Service, a container's platform and the metadata of a virtual
// machine. What it gives are real credentials of the S3 server.
type cloud struct {
	*httptest.Server
	give func() miniotest.Keys

	mu    sync.Mutex
	asked []string // method and path
	life  time.Duration
}

func newCloud(t *testing.T, give func() miniotest.Keys) *cloud {
	c := &cloud{give: give, life: time.Hour}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

// take returns what was asked since the last call.
func (c *cloud) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := c.asked
	c.asked = nil
	return asked
}

const (
	webToken       = "eyJhbGciOiJSUzI1NiJ9.token-of-the-platform"
	containerToken = "token-of-the-container"
	machineToken   = "token-of-the-machine"
)

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.asked = append(c.asked, r.Method+" "+r.URL.Path)
	expires := time.Now().Add(c.life).UTC().Format(time.RFC3339Nano)
	c.mu.Unlock()
	const roles = "/latest/meta-data/iam/security-credentials/"
	inJSON := func() {
		k := c.give()
		json.NewEncoder(w).Encode(map[string]string{"Code": "Success", "AccessKeyId": k.ID, "SecretAccessKey": k.Secret, "Token": k.Token, "Expiration": expires})
	}
	switch {
	case r.Method == http.MethodPost && r.FormValue("Action") == "AssumeRoleWithWebIdentity":
		if r.FormValue("WebIdentityToken") != webToken || r.FormValue("RoleArn") != "arn:aws:iam::1:role/backup" {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>`)
			return
		}
		k := c.give()
		fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
			k.ID, k.Secret, k.Token, expires)
	case r.Method == http.MethodPost && r.FormValue("Action") == "AssumeRole" && strings.Contains(r.Header.Get("Authorization"), "/sts/aws4_request"):
		k := c.give()
		fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
			k.ID, k.Secret, k.Token, expires)
	case r.URL.Path == "/container" && r.Header.Get("Authorization") == containerToken:
		inJSON()
	case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token" && r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds") != "":
		fmt.Fprint(w, machineToken)
	case r.Header.Get("X-Aws-Ec2-Metadata-Token") == machineToken && r.URL.Path == roles:
		fmt.Fprint(w, "backup-role\n")
	case r.Header.Get("X-Aws-Ec2-Metadata-Token") == machineToken && r.URL.Path == roles+"backup-role":
		inJSON()
	default:
		w.WriteHeader(http.StatusUnauthorized)
	}
}

var signedBy = regexp.MustCompile(`Credential=([^/]*)/`)

// Each link of the chain, with real credentials of the server: the program gets in with them, and with no others.
func TestCredentialChain(t *testing.T) {
	server := miniotest.Start(t)
	bucket := server.Bucket(t)
	url := "s3://" + bucket + "/app"
	app := filepath.Join(t.TempDir(), "app")
	writeFile(t, filepath.Join(app, "file"), "content")
	newMachine(t, server).must(nil, "backup", app, "--remote", url)

	front := server.Front(t, miniotest.Vendor{})
	tls := server.Front(t, miniotest.Vendor{TLS: true})
	user := server.User(t, miniotest.Policy(miniotest.Statement{Actions: []string{"GetObject", "ListBucket"}, Resources: []string{bucket, bucket + "/*"}}))
	session := server.Session(t, "")
	services := newCloud(t, func() miniotest.Keys { return session })
	profile := func(name string, k miniotest.Keys) string {
		text := fmt.Sprintf("[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n", name, k.ID, k.Secret)
		if k.Token != "" {
			text += "aws_session_token = " + k.Token + "\n"
		}
		return text
	}
	program := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = 'two words' ] || exit 9\necho '{\"Version\": 1, \"AccessKeyId\": %q, \"SecretAccessKey\": %q, \"SessionToken\": %q}'\n", session.ID, session.Secret, session.Token)
	wrong := []string{"AWS_ACCESS_KEY_ID=wrong", "AWS_SECRET_ACCESS_KEY=wrong-secret"}
	for _, c := range []struct {
		name   string
		env    []string          // added to an environment without credentials; $HOME stands for the home directory
		files  map[string]string // in the home directory
		config string            // of the remote, in lifeboat.yaml
		signer string            // access key; "": one that is neither the user's nor the session's
		cloud  string            // what was asked of the services
		tls    bool
	}{
		{name: "environment", env: user.Environ(), signer: user.ID},
		{name: "session", env: session.Environ(), signer: session.ID},
		{name: "_FILE", env: []string{"AWS_ACCESS_KEY_ID_FILE=$HOME/id", "AWS_SECRET_ACCESS_KEY_FILE=$HOME/secret", "AWS_SESSION_TOKEN_FILE=$HOME/token"},
			files: map[string]string{"id": session.ID + "\n", "secret": session.Secret + "\n", "token": session.Token + "\n"}, signer: session.ID},
		{name: "default profile", files: map[string]string{".aws/credentials": profile("default", user)}, signer: user.ID},
		{name: "AWS_PROFILE, with a session", env: []string{"AWS_PROFILE=work"}, files: map[string]string{".aws/credentials": profile("default", user) + profile("work", session)}, signer: session.ID},
		{name: "profile of the remote before the environment", env: wrong, config: "profile: work", files: map[string]string{".aws/config": profile("profile work", user)}, signer: user.ID},
		{name: "key files of the remote before the environment", env: wrong, config: "access_key_id_file: id, secret_access_key_file: secret",
			files: map[string]string{"id": user.ID, "secret": user.Secret}, signer: user.ID},
		{name: "files elsewhere", env: []string{"AWS_SHARED_CREDENTIALS_FILE=$HOME/c"}, files: map[string]string{"c": profile("default", user)}, signer: user.ID},
		{name: "role of another profile", env: []string{"AWS_PROFILE=role", "AWS_ENDPOINT_URL_STS=" + server.Endpoint},
			files: map[string]string{".aws/credentials": profile("default", user), ".aws/config": "[profile role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = default\nduration_seconds = 900\n"}},
		{name: "role, with the environment", env: append(user.Environ(), "AWS_ENDPOINT_URL_STS="+server.Endpoint), config: "profile: role",
			files: map[string]string{".aws/config": "[profile role]\nrole_arn = arn:aws:iam::1:role/x\ncredential_source = Environment\n"}},
		{name: "role of a role", env: append(user.Environ(), "AWS_ENDPOINT_URL_STS="+services.URL), config: "profile: outer", signer: session.ID, cloud: "POST /, POST /", // MinIO has no such chain
			files: map[string]string{".aws/config": "[profile outer]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = inner\n[profile inner]\nrole_arn = arn:aws:iam::1:role/y\ncredential_source = Environment\n"}},
		{name: "role at the endpoint of the profile's services", env: []string{"AWS_PROFILE=role"},
			files: map[string]string{".aws/config": profile("default", user) + "[profile role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = default\nservices = mine\n[services mine]\nsts =\n  endpoint_url = " + server.Endpoint + "\n"}},
		{name: "web identity", env: []string{"AWS_WEB_IDENTITY_TOKEN_FILE=$HOME/token", "AWS_ROLE_ARN=arn:aws:iam::1:role/backup", "AWS_ENDPOINT_URL_STS=" + services.URL},
			files: map[string]string{"token": webToken + "\n"}, signer: session.ID, cloud: "POST /"},
		{name: "web identity of a profile", env: []string{"AWS_PROFILE=web", "AWS_ENDPOINT_URL_STS=" + services.URL},
			files: map[string]string{"token": webToken, ".aws/config": "[profile web]\nrole_arn = arn:aws:iam::1:role/backup\nweb_identity_token_file = $HOME/token\n"}, signer: session.ID, cloud: "POST /"},
		{name: "container", env: []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + services.URL + "/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN=" + containerToken}, signer: session.ID, cloud: "GET /container"},
		{name: "container, token in a file", env: []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + services.URL + "/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=$HOME/token"},
			files: map[string]string{"token": containerToken + "\n"}, signer: session.ID, cloud: "GET /container"},
		{name: "machine", env: []string{"AWS_EC2_METADATA_DISABLED="}, signer: session.ID,
			cloud: "PUT /latest/api/token, GET /latest/meta-data/iam/security-credentials/, GET /latest/meta-data/iam/security-credentials/backup-role"},
		{name: "keys, so the machine is not asked", env: append([]string{"AWS_EC2_METADATA_DISABLED="}, user.Environ()...), signer: user.ID},
		{name: "a profile, so the machine is not asked", env: []string{"AWS_EC2_METADATA_DISABLED="}, files: map[string]string{".aws/credentials": profile("default", user)}, signer: user.ID},
		{name: "TLS", env: append(user.Environ(), "AWS_CA_BUNDLE=$HOME/roots.pem"), tls: true, signer: user.ID},
		{name: "TLS of the profile", env: append(user.Environ(), "AWS_PROFILE=own"), tls: true, files: map[string]string{".aws/config": "[profile own]\nca_bundle = $HOME/roots.pem\n"}, signer: user.ID},
		{name: "program", env: []string{"AWS_PROFILE=program"}, signer: session.ID,
			files: map[string]string{"give keys": program, ".aws/config": "[profile program]\ncredential_process = \"$HOME/give keys\" 'two words'\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "program" && runtime.GOOS == "windows" {
				t.Skip("NOT CHECKED on Windows: credential_process with a script of sh")
			}
			m := machineWithout(t)
			door := front
			if c.tls {
				door = tls
			}
			m.env = append(m.env, "AWS_ENDPOINT_URL_S3="+door.Endpoint, "AWS_EC2_METADATA_SERVICE_ENDPOINT="+services.URL)
			for _, e := range c.env {
				m.env = append(m.env, strings.ReplaceAll(e, "$HOME", m.home))
			}
			writeFile(t, filepath.Join(m.home, "roots.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: tls.Certificate})))
			for name, text := range c.files {
				writeFile(t, filepath.Join(m.home, filepath.FromSlash(name)), strings.ReplaceAll(text, "$HOME", m.home))
			}
			writeFile(t, filepath.Join(m.home, "lifeboat.yaml"), fmt.Sprintf("app: app\nremotes: [{url: %s, %s}]\n", url, c.config))
			door.Taken()
			services.take()
			var l struct{ Snapshots []struct{ Places []string } }
			m.must(&l, "list")
			if len(l.Snapshots) != 1 {
				t.Errorf("%d snapshots, want 1", len(l.Snapshots))
			}
			requests := door.Taken()
			if len(requests) == 0 {
				t.Error("the server was not asked through the front")
			}
			for _, r := range requests {
				id := signedBy.FindStringSubmatch(r.Header.Get("Authorization"))
				if id == nil || c.signer != "" && id[1] != c.signer || c.signer == "" && (id[1] == user.ID || id[1] == session.ID) {
					t.Errorf("%s is signed by %q, want %q", r.URL, id, c.signer)
				}
			}
			if got := strings.Join(services.take(), ", "); got != c.cloud {
				t.Errorf("the services were asked %q, want %q", got, c.cloud)
			}
		})
	}
}

// machineWithout is a machine that has no credentials, and no role.
func machineWithout(t *testing.T) *machine {
	m := newMachine(t, nil)
	env := m.env
	m.env = nil
	for _, e := range env {
		if !strings.HasPrefix(e, "AWS_") {
			m.env = append(m.env, e)
		}
	}
	m.env = append(m.env, "AWS_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true")
	return m
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

// Credentials that expire while a backup runs are renewed: the service says that each holds for three seconds, and the server takes its
// time until they have been fetched three times.
func TestCredentialsAreRenewed(t *testing.T) {
	server := miniotest.Start(t)
	bucket := server.Bucket(t)
	var mu sync.Mutex
	given := 0
	services := newCloud(t, func() miniotest.Keys {
		mu.Lock()
		given++
		mu.Unlock()
		return server.Session(t, "")
	})
	services.life = 3 * time.Second
	signers := map[string]bool{}
	front := server.Front(t, miniotest.Vendor{Serve: func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if id := signedBy.FindStringSubmatch(r.Header.Get("Authorization")); id != nil {
			signers[id[1]] = true
		}
		if given < 3 {
			mu.Unlock()
			time.Sleep(500 * time.Millisecond)
			mu.Lock()
		}
		return false
	}})
	app := filepath.Join(t.TempDir(), "app")
	for i := range 5 {
		writeFile(t, filepath.Join(app, fmt.Sprint(i)), "content")
	}
	m := machineWithout(t)
	m.env = append(m.env, "AWS_ENDPOINT_URL_S3="+front.Endpoint, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+services.URL+"/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN="+containerToken)
	url := "s3://" + bucket + "/app"
	m.must(nil, "backup", app, "--remote", url)
	m.must(nil, "validate", "--read-data", "--remote", url)
	if len(signers) < 3 {
		t.Errorf("%d credentials were used, want 3 at least", len(signers))
	}
}

// Where nothing has credentials, that is said within seconds, and what to do: off the cloud, nobody answers at the metadata service.
func TestNoCredentialsAnywhere(t *testing.T) {
	silent := newCloud(t, nil)
	gone := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-gone:
		}
	}))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(gone) })
	none := httptest.NewServer(nil)
	none.Close()
	for name, c := range map[string]struct {
		env  []string
		code int
	}{
		"disabled": {[]string{"AWS_EC2_METADATA_DISABLED=true", "AWS_EC2_METADATA_SERVICE_ENDPOINT=" + silent.URL}, 64},
		"nobody":   {[]string{"AWS_EC2_METADATA_DISABLED=", "AWS_EC2_METADATA_SERVICE_ENDPOINT=" + none.URL}, 14},
		"silence":  {[]string{"AWS_EC2_METADATA_DISABLED=", "AWS_EC2_METADATA_SERVICE_ENDPOINT=" + slow.URL}, 14},
	} {
		m := machineWithout(t)
		m.env = append(append(m.env, "AWS_ENDPOINT_URL_S3=http://127.0.0.1:1"), c.env...)
		out, errs, code := m.run("list", "--remote", "s3://bucket/app")
		if code != c.code || !strings.Contains(errs, "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") || strings.Contains(errs, "127.0.0.1:1 ") {
			t.Errorf("%s: exit code %d, want %d\n%s%s", name, code, c.code, out, errs)
		}
	}
	if asked := silent.take(); len(asked) != 0 {
		t.Errorf("the metadata service was asked though it is disabled: %q", asked)
	}
}

// Two remotes of one configuration have credentials of their own, neither of which opens the other.
func TestTwoRemotesTwoUsers(t *testing.T) {
	server := miniotest.Start(t)
	north, south := server.Bucket(t), server.Bucket(t)
	least := func(bucket, prefix string) string {
		return miniotest.Policy(
			miniotest.Statement{Actions: []string{"PutObject", "GetObject", "DeleteObject"}, Resources: []string{bucket + "/" + prefix + "/*"}},
			miniotest.Statement{Actions: []string{"ListBucket"}, Resources: []string{bucket}, Prefix: prefix + "/*"},
		)
	}
	front := server.Front(t, miniotest.Vendor{})
	n, s := server.User(t, least(north, "app")), server.User(t, least(south, "copies/app"))
	app := filepath.Join(t.TempDir(), "app")
	writeFile(t, filepath.Join(app, "file"), "content")
	m := machineWithout(t)
	m.env = append(m.env, "AWS_ENDPOINT_URL_S3="+front.Endpoint, "AWS_ACCESS_KEY_ID=nobody", "AWS_SECRET_ACCESS_KEY=nobodys-secret")
	writeFile(t, filepath.Join(m.home, "id"), n.ID)
	writeFile(t, filepath.Join(m.home, "secret"), n.Secret)
	writeFile(t, filepath.Join(m.home, ".aws", "credentials"), fmt.Sprintf("[south]\naws_access_key_id=%s\naws_secret_access_key=%s\n", s.ID, s.Secret))
	config := `app: app
sources: [{path: %s}]
remotes:
  - {name: north, url: s3://%s, access_key_id_file: id, secret_access_key_file: secret}
  - {name: south, url: s3://%s, profile: south}
`
	write := func(northURL, southURL string) {
		writeFile(t, filepath.Join(m.home, "lifeboat.yaml"), fmt.Sprintf(config, app, northURL, southURL))
	}
	write(north+"/app", south+"/copies/app")
	var done struct{ Places []struct{ Name string } }
	m.must(&done, "backup")
	if len(done.Places) != 3 { // local, north, south
		t.Errorf("the snapshot is at %v, want local, north and south", done.Places)
	}
	m.must(nil, "validate", "--read-data")
	for _, r := range front.Taken() {
		id := signedBy.FindStringSubmatch(r.Header.Get("Authorization"))
		want := n.ID
		if strings.HasPrefix(r.URL.Path, "/"+south) {
			want = s.ID
		}
		if id == nil || id[1] != want {
			t.Errorf("%s %s is signed by %q, want %s", r.Method, r.URL.Path, id, want)
		}
	}
	// The other way round nothing opens.
	write(south+"/copies/app", north+"/app")
	for _, name := range []string{"north", "south"} {
		_, errs, code := m.run("list")
		if code != 14 || !strings.Contains(errs, "not allowed") || !strings.Contains(errs, "s3:ListBucket on "+map[string]string{"north": south, "south": north}[name]) {
			t.Errorf("%s's key at the other bucket: exit code %d\n%s", name, code, errs)
		}
	}
}
