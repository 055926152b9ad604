package integration_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"lifeboat/integration/miniotest"
	"lifeboat/internal/sampleapp"
	"lifeboat/remote/remotetest"
)

// waitFor waits until a condition holds, as long as every application lives.
func waitFor(t *testing.T, apps []*application, ok func() bool) {
	t.Helper()
	for !ok() {
		for _, a := range apps {
			select {
			case <-a.read:
				t.Fatalf("an application ended: %s", a.errs.String())
			default:
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestConformance(t *testing.T) {
	server := miniotest.Start(t)
	remotetest.S3(t, remotetest.Server{Endpoint: server.Endpoint, AccessKeyID: server.AccessKey, SecretAccessKey: server.SecretKey})
}

// Credentials that may do nothing outside a prefix are enough: every request is about an object below it, or lists what is below it.
// Every upload is one request whose checksum the server can verify.
func TestRequestsStayBelowThePrefix(t *testing.T) {
	proxy := miniotest.Start(t).Proxy(t)
	bucket := proxy.Bucket(t)
	remote := "s3://" + bucket + "/one/app"
	app := filepath.Join(t.TempDir(), "app")
	if err := sampleapp.Create(t.Context(), app, 3); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, proxy.Server)
	proxy.Reset()
	m.must(nil, "backup", app, "--remote", remote)
	for _, args := range [][]string{
		{"list"}, {"show"}, {"ls", "latest"}, {"cat", "latest", "app/registry.json"}, {"validate", "--read-data"},
		{"restore", "latest", "--target", filepath.Join(m.home, "r")}, {"pull", "latest"}, {"push"}, {"drill"}, {"drill", "--no-scratch"}, {"status"},
	} {
		m.must(nil, append(args, "--remote", remote)...)
	}
	puts := 0
	for _, r := range proxy.Requests() {
		switch {
		case strings.HasPrefix(r.Path, "/"+bucket+"/one/app/"):
		case r.Method == http.MethodGet && strings.Trim(r.Path, "/") == bucket && r.Query.Get("list-type") == "2" && strings.HasPrefix(r.Query.Get("prefix"), "one/app/"):
		default:
			t.Errorf("%s is outside the prefix", r)
		}
		if r.Method == http.MethodPut {
			puts++
			if r.Header.Get("X-Amz-Checksum-Sha256") == "" {
				t.Errorf("%s carries no SHA-256", r)
			}
			if len(r.Query) != 0 {
				t.Errorf("%s is no single-request upload", r)
			}
		}
		if r.Method == http.MethodPost {
			t.Errorf("%s: neither multipart uploads nor batch deletes are needed", r)
		}
	}
	if puts < 6 { // marker, kit, archives, manifest
		t.Errorf("only %d uploads", puts)
	}
}

// A push or copy that is cut off goes on where it was: what is in the bucket is not sent again, and no snapshot is listed before all
// of it is there.
func TestCutPushResumes(t *testing.T) {
	proxy := miniotest.Start(t).Proxy(t)
	t.Run("push", func(t *testing.T) { cutAndResume(t, proxy, "push", "--remote") })
	t.Run("copy", func(t *testing.T) { cutAndResume(t, proxy, "copy", "--to") })
}

func cutAndResume(t *testing.T, proxy *miniotest.Proxy, command, flag string) {
	proxy.Reset()
	defer proxy.Inject(nil)
	bucket := proxy.Bucket(t)
	remote := "s3://" + bucket + "/app"
	app := filepath.Join(t.TempDir(), "app")
	if err := sampleapp.Create(t.Context(), app, 4); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, proxy.Server)
	m.must(nil, "create", app)
	isArchive := func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/archives/")
	}
	client := proxy.Client(t)
	first := make(chan string, 1)
	proxy.Inject(func(_ int, r *http.Request) miniotest.Action {
		if !isArchive(r) {
			return miniotest.Action{}
		}
		select {
		case first <- strings.TrimPrefix(r.URL.Path, "/"+bucket+"/"):
			return miniotest.Action{} // one goes through
		default:
		}
		key := <-first
		first <- key
		for { // and the others are refused when it is there
			if _, err := client.StatObject(r.Context(), bucket, key, minio.StatObjectOptions{}); err == nil || r.Context().Err() != nil {
				return miniotest.Action{Fail: miniotest.Before, Status: http.StatusForbidden, Code: "AccessDenied"}
			}
		}
	})
	if out, errs, code := m.run(command, flag, remote, "--app", "app"); code != 14 {
		t.Fatalf("a %s that is refused: exit code %d\n%s%s", command, code, out, errs)
	}
	var l struct{ Snapshots []struct{ Places []string } }
	m.must(&l, "list", "--remote", remote, "--app", "app")
	for _, s := range l.Snapshots {
		if len(s.Places) != 1 || s.Places[0] != "local" {
			t.Errorf("after a cut push the snapshot is listed at %q", s.Places)
		}
	}
	sent := map[string]int{}
	for _, r := range proxy.Requests() {
		if r.Method == http.MethodPut && r.Status == http.StatusOK && strings.Contains(r.Path, "/archives/") {
			sent[r.Path]++
		}
	}
	if len(sent) != 1 {
		t.Fatalf("%d archives went through before the cut, want 1", len(sent))
	}
	proxy.Inject(nil)
	proxy.Reset()
	m.must(nil, command, flag, remote, "--app", "app")
	for _, r := range proxy.Requests() {
		if r.Method == http.MethodPut && sent[r.Path] > 0 {
			t.Errorf("%s was sent twice", r.Path)
		}
	}
	m.must(nil, "validate", "--read-data", "--remote", remote, "--app", "app")
}

// Secrets are nowhere: not in what is printed, not in what is stored.
func TestNoSecretIsPrintedOrStored(t *testing.T) {
	server := miniotest.Start(t)
	bucket := server.Bucket(t)
	app := filepath.Join(t.TempDir(), "app")
	if err := sampleapp.Create(t.Context(), app, 5); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, server)
	remote := "s3://" + bucket + "/app"
	var said strings.Builder
	for _, args := range [][]string{
		{"backup", app, "-v"}, {"list", "-v"}, {"show", "-v"}, {"config", "show"}, {"validate", "--read-data", "-v"},
		{"restore", "nothing"}, {"restore", "latest", "--target", filepath.Join(m.home, "r"), "-v"},
	} {
		for _, json := range []string{"--json=false", "--json"} {
			out, errs, _ := m.run(append(args, "--remote", remote, json)...)
			said.WriteString(out + errs)
		}
	}
	wrong := *m
	wrong.env = append(append([]string{}, m.env...), "AWS_SECRET_ACCESS_KEY=wrong-"+server.SecretKey)
	if out, errs, code := wrong.run("list", "--remote", remote, "--app", "other"); code != 14 {
		t.Errorf("a wrong secret: exit code %d\n%s%s", code, out, errs)
	} else {
		said.WriteString(out + errs)
	}
	if strings.Contains(said.String(), server.SecretKey) {
		t.Error("the secret key was printed")
	}
	filepath.WalkDir(m.home, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if data, err := os.ReadFile(path); err != nil || strings.Contains(string(data), server.SecretKey) {
				t.Errorf("the secret key is in %s (%v)", path, err)
			}
		}
		return nil
	})
}
