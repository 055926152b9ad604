package integration_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/minio/minio-go/v7"

	"lifeboat/integration/miniotest"
	"lifeboat/internal/sampleapp"
)

// secrets looks for what must not be seen, in every form in which it may be written.
type secrets struct {
	t     *testing.T
	forms map[string]string // by what they are
	runs  int
	bytes int64 // that were looked through
}

func newSecrets(t *testing.T, values map[string]string) *secrets {
	s := &secrets{t: t, forms: map[string]string{"a signature": "Signature=", "a signed header": "AWS4-HMAC-SHA256"}}
	for name, v := range values {
		if len(v) < 16 {
			t.Fatalf("%s is too short to be told from other text", name)
		}
		s.forms[name] = v
		s.forms[name+" in hex"] = hex.EncodeToString([]byte(v))
		s.forms[name+" in upper hex"] = strings.ToUpper(hex.EncodeToString([]byte(v)))
		s.forms[name+" in a URL"] = url.QueryEscape(v)
		s.forms[name+" in a path"] = url.PathEscape(v)
		for i := range 3 { // however it lies in what was encoded
			text := base64.StdEncoding.EncodeToString([]byte(v[i:]))
			s.forms[fmt.Sprint(name, " in base64 ", i)] = text[:(len(v)-i)/3*4]
		}
	}
	return s
}

func (s *secrets) look(where string, data []byte) {
	s.t.Helper()
	s.bytes += int64(len(data))
	for what, form := range s.forms {
		if at := bytes.Index(data, []byte(form)); at >= 0 {
			s.t.Errorf("%s shows %s at byte %d: …%q", where, what, at, data[max(0, at-60):at])
		}
	}
}

// run runs a command and looks at all that it says, and at the arguments of its process and of those that it starts.
func (s *secrets) run(m *machine, want int, args ...string) {
	s.t.Helper()
	line := "lifeboat " + strings.Join(args, " ")
	cmd := m.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	var seen bytes.Buffer
	ended := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			arguments(&seen, cmd.Process.Pid)
			select {
			case <-ended:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	})
	cmd.Wait()
	close(ended)
	watching.Wait()
	s.runs++
	if code := cmd.ProcessState.ExitCode(); want >= 0 && code != want {
		s.t.Errorf("%s: exit code %d, want %d: %s", line, code, want, errs.String())
	}
	s.look("standard output of "+line, out.Bytes())
	s.look("standard error of "+line, errs.Bytes())
	s.look("the arguments of "+line, seen.Bytes())
}

// arguments collects the arguments of a process and of its children.
func arguments(to io.Writer, pid int) {
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	to.Write(line)
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for child := range strings.FieldsSeq(string(children)) {
		line, _ := os.ReadFile("/proc/" + child + "/cmdline")
		to.Write(line)
	}
}

// file looks at what a store holds, as it lies there and unpacked.
func (s *secrets) file(name string, data []byte) {
	s.t.Helper()
	s.look(name, data)
	if !strings.HasSuffix(name, ".zst") {
		return
	}
	r, err := zstd.NewReader(bytes.NewReader(data))
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	plain, err := io.ReadAll(r)
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	s.look(name+", unpacked", plain)
}

// Secrets are in nothing that lifeboat writes: output, errors, stores, arguments of processes, and what the runtime prints of it when it
// is killed. They come in every way in which they may be given.
func TestSecretsAreNeverShown(t *testing.T) {
	proxy := miniotest.Start(t).Proxy(t)
	server := proxy.Server
	bucket := proxy.Bucket(t)
	session := server.Session(t, "")
	const wrong = "WRONG/secret+key=of-nobody%20at/all+"
	s := newSecrets(t, map[string]string{"the secret key": server.SecretKey, "the session's secret": session.Secret, "the session token": session.Token, "the wrong secret": wrong})
	app := filepath.Join(t.TempDir(), "app")
	if err := sampleapp.Create(t.Context(), app, 5); err != nil {
		t.Fatal(err)
	}
	write := func(m *machine, name, text string) string {
		t.Helper()
		path := filepath.Join(m.home, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var machines []*machine
	with := func(env ...string) *machine {
		m := newMachine(t, server)
		m.env = append(m.env, env...)
		machines = append(machines, m)
		return m
	}

	// All that there is, with each way to give credentials.
	ways := map[string]func() (*machine, []string){
		"environment": func() (*machine, []string) {
			return with("AWS_ACCESS_KEY_ID="+session.ID, "AWS_SECRET_ACCESS_KEY="+session.Secret, "AWS_SESSION_TOKEN="+session.Token), nil
		},
		"files": func() (*machine, []string) {
			m := with("AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=")
			m.env = append(m.env, "AWS_ACCESS_KEY_ID_FILE="+write(m, "id", session.ID+"\n"), "AWS_SECRET_ACCESS_KEY_FILE="+write(m, "secret", session.Secret+"\n"),
				"AWS_SESSION_TOKEN_FILE="+write(m, "token", session.Token+"\n"))
			return m, nil
		},
		"shared file": func() (*machine, []string) {
			m := with("AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=")
			m.env = append(m.env, "AWS_PROFILE=p", "AWS_SHARED_CREDENTIALS_FILE="+write(m, "credentials",
				fmt.Sprintf("[p]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = %s\n", session.ID, session.Secret, session.Token)))
			return m, nil
		},
		"configuration": func() (*machine, []string) {
			m := with("AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=")
			return m, []string{"--config", write(m, "lifeboat.yaml", fmt.Sprintf("app: app\nremotes:\n  - {name: offsite, url: 's3://%s/configuration', access_key_id_file: %s, secret_access_key_file: %s}\n",
				bucket, write(m, "id", server.AccessKey), write(m, "secret", server.SecretKey)))}
		},
	}
	for way, begin := range ways {
		m, config := begin()
		remote := append(config, "--app", "app")
		if config == nil {
			remote = append(remote, "--remote", "s3://"+bucket+"/"+strings.ReplaceAll(way, " ", "-"))
		}
		for i, extra := range [][]string{nil, {"-v", "--json"}} {
			if i == 0 && way != "environment" {
				continue
			}
			target := filepath.Join(m.home, fmt.Sprint("restored-", i))
			for _, args := range [][]string{
				{"backup", app}, {"create", app}, {"push"}, {"list"}, {"show"}, {"ls", "latest"}, {"validate", "--read-data"},
				{"restore", "latest", "--target", target}, {"pull", "latest"}, {"config", "show"}, {"version"}, {"help", "environment"},
			} {
				s.run(m, 0, append(append(args, remote...), extra...)...)
			}
		}
		s.run(m, 0, append([]string{"cat", "latest", "app/registry.json"}, remote...)...)
	}

	// What fails.
	good := []string{"AWS_ACCESS_KEY_ID=" + session.ID, "AWS_SECRET_ACCESS_KEY=" + session.Secret, "AWS_SESSION_TOKEN=" + session.Token}
	for _, failure := range []struct {
		env    []string
		remote string
		code   int
	}{
		{[]string{"AWS_SECRET_ACCESS_KEY=" + wrong}, "s3://" + bucket + "/x", 14},
		{[]string{"AWS_SESSION_TOKEN=" + session.Token}, "s3://" + bucket + "/x", 14}, // of another key
		{good, "s3://nosuch-" + bucket + "/x", 14},
		{append(good, "AWS_ENDPOINT_URL_S3=http://127.0.0.1:1"), "s3://" + bucket + "/x", 14},
		{[]string{"AWS_ACCESS_KEY_ID="}, "s3://" + bucket + "/x", 64},
		{good, "s3://" + session.ID + ":" + url.QueryEscape(session.Secret) + "@" + bucket + "/x", 64},
		{good, "s3://" + bucket + "/x?secret_access_key=" + url.QueryEscape(session.Secret), 64},
		{good, "s3://" + bucket + "/x?endpoint=" + url.QueryEscape("https://"+session.ID+":"+url.QueryEscape(session.Secret)+"@host"), 64},
		{good, "https://" + session.ID + ":" + url.QueryEscape(session.Secret) + "@host/" + bucket, 64},
	} {
		m := with(failure.env...)
		for _, extra := range [][]string{nil, {"-v", "--json"}} {
			for _, args := range [][]string{{"backup", app, "--app", "app"}, {"restore", "latest", "--target", "x", "--store", "none"}} {
				code := failure.code
				args = append(append(args, "--remote", failure.remote, "--retry-for", "1s"), extra...)
				if failure.code == 64 { // who writes a secret into an argument has shown it; it is not repeated
					out, errs, got := m.run(args...)
					s.runs++
					if got != code {
						t.Errorf("%s with a remote that must be refused: exit code %d", args[0], got)
					}
					s.look("standard output of "+args[0]+" with a secret in its remote", []byte(out))
					s.look("standard error of "+args[0]+" with a secret in its remote", []byte(errs))
					continue
				}
				s.run(m, code, args...)
			}
		}
	}

	s.killed(with(good...), proxy, app, "s3://"+bucket+"/killed")

	// What is in the bucket, and what lies on the machines, but for the files that the credentials were read from.
	objects := 0
	client := server.Client(t)
	for o := range client.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true, WithMetadata: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		body, err := client.GetObject(t.Context(), bucket, o.Key, minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(body)
		body.Close()
		if err != nil {
			t.Fatal(err)
		}
		s.file(o.Key, data)
		s.look("the metadata of "+o.Key, fmt.Append(nil, o.UserMetadata, o.UserTags))
		objects++
	}
	files := 0
	for _, m := range machines {
		err := filepath.WalkDir(m.home, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || filepath.Dir(path) == m.home && e.Name() != "lifeboat.yaml" {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			s.file(path, data)
			files++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if objects < 20 || files < 20 || s.runs < 80 {
		t.Errorf("only %d objects, %d files and %d commands were looked at", objects, files, s.runs)
	}
	t.Logf("%d commands, %d objects, %d files, %d bytes, %d forms of secrets: none was shown", s.runs, objects, files, s.bytes, len(s.forms))
}

// killed looks at what the runtime prints of a backup under way: the stacks of everything in it.
func (s *secrets) killed(m *machine, proxy *miniotest.Proxy, app, remote string) {
	if runtime.GOOS == "windows" {
		s.t.Log("NOT CHECKED: what a dump of the stacks shows")
		return
	}
	reached := make(chan struct{})
	var once sync.Once
	release := make(chan struct{})
	proxy.Inject(func(_ int, r *http.Request) miniotest.Action {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/archives/") {
			once.Do(func() { close(reached) })
			<-release
		}
		return miniotest.Action{}
	})
	defer proxy.Inject(nil)
	defer close(release)
	cmd := m.command("backup", app, "--app", "app", "--remote", remote, "-v")
	cmd.Env = append(cmd.Env, "GOTRACEBACK=all")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-reached:
	case err := <-ended:
		s.t.Fatalf("the backup ended before anything was sent: %v: %s", err, errs.String())
	}
	if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		s.t.Fatal(err)
	}
	if err := <-ended; err == nil {
		s.t.Error("it was killed, and ended well")
	}
	if !strings.Contains(errs.String(), "goroutine ") {
		s.t.Errorf("there is no dump: %s", errs.String())
	}
	s.look("the dump of a backup", errs.Bytes())
}
