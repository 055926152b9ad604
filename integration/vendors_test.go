package integration_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"lifeboat/integration/miniotest"
	"lifeboat/remote/remotetest"
)

// refuse answers as S3 does when something is wrong.
func refuse(w http.ResponseWriter, status int, code, message string) bool {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
	return true
}

const notImplemented = "A header you provided implies functionality that is not implemented."

// likeB2 refuses what Backblaze B2 was reported to refuse.
func likeB2(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.Method != http.MethodPut:
		return false
	case r.Header.Get("If-None-Match") != "":
		return refuse(w, http.StatusNotImplemented, "NotImplemented", notImplemented)
	case r.Header.Get("X-Amz-Checksum-Sha256") != "":
		return refuse(w, http.StatusBadRequest, "InvalidArgument", "Unsupported header 'x-amz-checksum-sha256' received for this API call.")
	}
	return false
}

// likeR2 refuses what Cloudflare R2 was reported to refuse.
func likeR2(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodPut {
		return false
	}
	if sum := r.Header.Get("X-Amz-Content-Sha256"); strings.HasPrefix(sum, "STREAMING-") {
		return refuse(w, http.StatusNotImplemented, "NotImplemented", sum+" not implemented")
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-Checksum-") || strings.HasPrefix(name, "X-Amz-Sdk-Checksum") {
			return refuse(w, http.StatusNotImplemented, "NotImplemented", "Header '"+strings.ToLower(name)+"' with value '"+r.Header.Get(name)+"' not implemented")
		}
	}
	return false
}

// forgetful takes If-None-Match and overwrites all the same.
func forgetful(t *testing.T, server *miniotest.Server) func(http.ResponseWriter, *http.Request) bool {
	client := server.Client(t)
	return func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && r.Header.Get("If-None-Match") != "" {
			bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
			if err := client.RemoveObject(r.Context(), bucket, key, minio.RemoveObjectOptions{}); err != nil {
				t.Error(err)
			}
		}
		return false
	}
}

// framing stores the body of an upload as it comes over the wire, frames of aws-chunked and all.
func framing(t *testing.T, server *miniotest.Server) func(http.ResponseWriter, *http.Request) bool {
	client := server.Client(t)
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		if strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") || strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") || len(r.Trailer) > 0 {
			t.Errorf("%s is sent in frames: %v", r.URL.Path, r.Header)
		}
		bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		info, err := client.PutObject(r.Context(), bucket, key, r.Body, r.ContentLength, minio.PutObjectOptions{DisableMultipart: true})
		if err != nil {
			t.Error(err)
			return refuse(w, http.StatusInternalServerError, "InternalError", "it failed")
		}
		w.Header().Set("ETag", `"`+info.ETag+`"`)
		return true
	}
}

// smallApp makes a state of some files, one of them so large that its upload waits for the server's consent.
func smallApp(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "app")
	noise := make([]byte, 2_500_000)
	rand.NewChaCha8([32]byte{7}).Read(noise)
	writeFile(t, filepath.Join(dir, "noise.bin"), string(noise))
	writeFile(t, filepath.Join(dir, "registry.json"), `{"one": 1}`)
	writeFile(t, filepath.Join(dir, "deep", "er", "empty"), "")
	return dir
}

// sameTree wants the files of two directories to be the same.
func sameTree(t *testing.T, want, got string) {
	t.Helper()
	read := func(dir string) map[string]string {
		files := map[string]string{}
		filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				data, _ := os.ReadFile(name)
				rel, _ := filepath.Rel(dir, name)
				files[rel] = string(data)
			}
			return nil
		})
		return files
	}
	a, b := read(want), read(got)
	if len(a) == 0 || len(a) != len(b) {
		t.Errorf("%d files in %s, want %d", len(b), got, len(a))
	}
	for name, data := range a {
		if b[name] != data {
			t.Errorf("%s is another", name)
		}
	}
}

// byteRight wants every archive in a bucket to be the bytes of its name.
func byteRight(t *testing.T, server *miniotest.Server, bucket string) {
	t.Helper()
	client, archives := server.Client(t), 0
	for o := range client.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		if path.Base(path.Dir(o.Key)) != "archives" {
			continue
		}
		archives++
		body, err := client.GetObject(t.Context(), bucket, o.Key, minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		if _, err := io.Copy(h, body); err != nil {
			t.Fatal(err)
		}
		if sum := hex.EncodeToString(h.Sum(nil)); sum+".tar.zst" != path.Base(o.Key) {
			t.Errorf("%s has the SHA-256 %s", o.Key, sum)
		}
	}
	if archives == 0 {
		t.Error("no archives in the bucket")
	}
}

// The whole life with servers that know one header or another not, or do as if. What is refused is refused once: the next run, and the one
// after, remember it; a month later it is tried again.
func TestVendors(t *testing.T) {
	server := miniotest.Start(t)
	const sum, condition = "refuses x-amz-checksum-sha256: sending Content-MD5 instead", "refuses If-None-Match: looking first whether a name is taken"
	for _, c := range []struct {
		name    string
		serve   func(http.ResponseWriter, *http.Request) bool
		says    []string
		refused int // uploads in the first run
	}{
		{"B2", likeB2, []string{sum, condition}, 2},
		{"R2", likeR2, []string{sum}, 1},
		{"conditions ignored", forgetful(t, server), nil, 0},
		{"frames stored", framing(t, server), nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			bucket := server.Bucket(t)
			var refused atomic.Int64
			var upgraded atomic.Bool
			front := server.Front(t, miniotest.Vendor{Serve: func(w http.ResponseWriter, r *http.Request) bool {
				if upgraded.Load() {
					return false
				}
				answered := c.serve(w, r)
				if answered && c.says != nil {
					refused.Add(1)
				}
				return answered
			}})
			m := newMachine(t, front.Server)
			app := smallApp(t)
			writeFile(t, filepath.Join(m.home, "lifeboat.yaml"), fmt.Sprintf("app: app\nsources: [{path: %s}]\nremotes: [{name: b2, url: s3://%s/app}]\n", app, bucket))
			for run := range 2 {
				refused.Store(0)
				_, errs, code := m.run("backup", "-v")
				if code != 0 {
					t.Fatalf("backup: exit code %d\n%s", code, errs)
				}
				for _, text := range []string{sum, condition} {
					if got, want := strings.Count(errs, "b2 "+text), slices.Contains(c.says, text); got > 1 || (got == 1) != want {
						t.Errorf("backup %d says %d times %q, want %t\n%s", run+1, got, text, want, errs)
					}
				}
				if got := int(refused.Load()); run == 0 && (got < c.refused || got > 3*c.refused) || run > 0 && got > 0 { // several at once may find it out, as the three files of the kit
					t.Errorf("in backup %d %d uploads were refused, want about %d in the first and none then", run+1, got, c.refused)
				}
			}
			var l struct{ Snapshots []struct{ Places []string } }
			m.must(&l, "list")
			if len(l.Snapshots) != 2 {
				t.Errorf("%d snapshots, want 2", len(l.Snapshots))
			}
			for _, s := range l.Snapshots {
				if !slices.Contains(s.Places, "b2") {
					t.Errorf("a snapshot is at %q", s.Places)
				}
			}
			m.must(nil, "validate", "--all", "--read-data")
			m.must(nil, "restore", "latest", "--target", filepath.Join(m.home, "r"), "--remote", "s3://"+bucket+"/app")
			sameTree(t, app, filepath.Join(m.home, "r", "app"))
			byteRight(t, server, bucket)

			// A fresh machine has nothing remembered, and needs nothing.
			fresh := newMachine(t, front.Server)
			fresh.must(nil, "restore", "latest", "--target", filepath.Join(fresh.home, "r"), "--remote", "s3://"+bucket+"/app")
			sameTree(t, app, filepath.Join(fresh.home, "r", "app"))
			if c.says == nil {
				return
			}

			// A month later the server has learned, and nobody minds.
			upgraded.Store(true)
			age(t, filepath.Join(m.home, "lifeboat", "known.json"), 31*24*time.Hour)
			front.Taken()
			if _, errs, code := m.run("backup", "-v"); code != 0 || strings.Contains(errs, "refuses") {
				t.Errorf("backup a month later: exit code %d\n%s", code, errs)
			}
			for _, r := range front.Taken() {
				if r.Method == http.MethodPut && (r.Header.Get("X-Amz-Checksum-Sha256") == "" || strings.Contains(r.URL.Path, "/manifests/") && r.Header.Get("If-None-Match") == "") {
					t.Errorf("a month later %s is sent without: %v", r.URL.Path, r.Header)
				}
			}
		})
	}
}

// age puts back the times in what is known of remotes.
func age(t *testing.T, name string, by time.Duration) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var known map[string]struct {
		ID      string               `json:"id"`
		Refuses map[string]time.Time `json:"refuses"`
	}
	if err := json.Unmarshal(data, &known); err != nil {
		t.Fatal(err)
	}
	times := 0
	for _, k := range known {
		for header, at := range k.Refuses {
			k.Refuses[header] = at.Add(-by)
			times++
		}
	}
	if times == 0 {
		t.Fatalf("nothing is remembered: %s", data)
	}
	if data, err = json.Marshal(known); err == nil {
		err = os.WriteFile(name, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Servers that refuse headers keep the contract of a store, all of it.
func TestConformanceOfVendors(t *testing.T) {
	server := miniotest.Start(t)
	front := server.Front(t, miniotest.Vendor{Serve: likeB2})
	remotetest.S3(t, remotetest.Server{Endpoint: front.Endpoint, AccessKeyID: server.AccessKey, SecretAccessKey: server.SecretKey})
}

// Downloads and listings that are not what they should be. Each command is right or says one thing that is wrong, and where.
func TestBodiesAndListings(t *testing.T) {
	server := miniotest.Start(t)
	bucket := server.Bucket(t)
	url := "s3://" + bucket + "/app"
	app := smallApp(t)
	newMachine(t, server).must(nil, "backup", app, "--remote", url)
	isArchive := func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/archives/")
	}
	isList := func(r *http.Request) bool { return r.URL.Query().Get("list-type") == "2" }
	admin := server.Client(t)
	// cut has an answer end after n bytes of its body; lie says so in the header, and else the connection breaks.
	cut := func(resp *http.Response, n int64, lie bool) {
		if resp.StatusCode/100 != 2 {
			return
		}
		n = min(n, resp.ContentLength)
		if lie {
			resp.ContentLength = n
			resp.Header.Set("Content-Length", fmt.Sprint(n))
		}
		resp.Body = &cutBody{resp.Body, n, lie}
	}
	rewrite := func(resp *http.Response, change func([]byte) []byte) error {
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		data = change(data)
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
		resp.Header.Set("Content-Length", fmt.Sprint(len(data)))
		return nil
	}
	for _, c := range []struct {
		name   string
		vendor func(t *testing.T) miniotest.Vendor
		code   int    // of restore; of list for listings
		says   string // in the message
		list   bool
	}{
		{"short once", func(t *testing.T) miniotest.Vendor {
			var once sync.Map
			return miniotest.Vendor{Answer: func(resp *http.Response) error {
				if _, seen := once.LoadOrStore(resp.Request.URL.Path, true); isArchive(resp.Request) && !seen {
					cut(resp, resp.ContentLength/2, false)
				}
				return nil
			}}
		}, 0, "", false},
		{"short always", func(t *testing.T) miniotest.Vendor {
			return miniotest.Vendor{Answer: func(resp *http.Response) error {
				if isArchive(resp.Request) {
					cut(resp, 10, false)
				}
				return nil
			}}
		}, 14, "the connection broke off", false},
		{"dribbling", func(t *testing.T) miniotest.Vendor {
			return miniotest.Vendor{Answer: func(resp *http.Response) error {
				if isArchive(resp.Request) {
					resp.Body = &dribble{resp.Body}
				}
				return nil
			}}
		}, 0, "", false},
		{"truncated, and the length fits", func(t *testing.T) miniotest.Vendor {
			return miniotest.Vendor{Answer: func(resp *http.Response) error {
				if isArchive(resp.Request) {
					cut(resp, resp.ContentLength/2, true)
				}
				return nil
			}}
		}, -1, "archives/", false},
		{"the whole for a range", func(t *testing.T) miniotest.Vendor {
			return miniotest.Vendor{Serve: func(w http.ResponseWriter, r *http.Request) bool {
				if !isArchive(r) || r.Header.Get("Range") == "" {
					return false
				}
				o, err := admin.GetObject(r.Context(), bucket, strings.TrimPrefix(r.URL.Path, "/"+bucket+"/"), minio.GetObjectOptions{})
				if err == nil {
					var info minio.ObjectInfo
					if info, err = o.Stat(); err == nil {
						w.Header().Set("ETag", `"`+info.ETag+`"`)
						w.Header().Set("Last-Modified", info.LastModified.Format(http.TimeFormat))
						w.Header().Set("Content-Length", fmt.Sprint(info.Size))
						_, err = io.Copy(w, o)
					}
				}
				if err != nil {
					t.Logf("the client hung up: %v", err)
				}
				return true
			}}
		}, -2, "does not serve ranges", false},
		{"list cut short", func(t *testing.T) miniotest.Vendor {
			return miniotest.Vendor{Answer: func(resp *http.Response) error {
				if !isList(resp.Request) {
					return nil
				}
				return rewrite(resp, func(b []byte) []byte { return b[:len(b)*2/3] })
			}}
		}, 14, "a listing that is cut or garbled", true},
		{"list goes on nowhere", func(t *testing.T) miniotest.Vendor {
			return miniotest.Vendor{Answer: func(resp *http.Response) error {
				if !isList(resp.Request) {
					return nil
				}
				return rewrite(resp, func(b []byte) []byte {
					return bytes.Replace(b, []byte("<IsTruncated>false</IsTruncated>"), []byte("<IsTruncated>true</IsTruncated>"), 1)
				})
			}}
		}, 14, "its listing goes on, and not where", true},
		{"login page", func(t *testing.T) miniotest.Vendor {
			return miniotest.Vendor{Serve: func(w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("Content-Type", "text/html")
				fmt.Fprint(w, "<html><body>Please log in</body></html>")
				return true
			}}
		}, 14, "not the answer of an S3 server", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, server.Front(t, c.vendor(t)).Server)
			target := filepath.Join(m.home, "r")
			args := []string{"restore", "latest", "--target", target, "--remote", url, "--retry-for", "1s"}
			if c.list {
				args = []string{"list", "--remote", url, "--retry-for", "1s"}
			}
			out, errs, code := m.run(args...)
			t.Logf("exit code %d: %s", code, errs)
			switch {
			case c.code == 0:
				if code != 0 {
					t.Fatalf("exit code %d\n%s", code, errs)
				}
				sameTree(t, app, filepath.Join(target, "app"))
				return
			case c.code == -1 && code != 14 && code != 4, c.code > 0 && code != c.code:
				t.Errorf("exit code %d\n%s%s", code, out, errs)
			case c.code == -2 && code == 0: // nothing was asked for in ranges
				sameTree(t, app, filepath.Join(target, "app"))
				return
			}
			if strings.Count(errs, "lifeboat: ") != 1 || !strings.Contains(errs, c.says) {
				t.Errorf("want one message with %q in it:\n%s", c.says, errs)
			}
			if _, err := os.Stat(filepath.Join(target, "app")); !os.IsNotExist(err) {
				t.Errorf("there is something at the target: %v", err)
			}
		})
	}
}

// A cutBody ends early; rightly, or as a connection does that breaks.
type cutBody struct {
	io.ReadCloser
	left  int64
	clean bool
}

func (c *cutBody) Read(p []byte) (int, error) {
	if c.left == 0 {
		if c.clean {
			return 0, io.EOF
		}
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// A dribble gives a few bytes at a time, and pauses.
type dribble struct{ io.ReadCloser }

func (d *dribble) Read(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return d.ReadCloser.Read(p[:min(len(p), 5000)])
}

// A listing that lacks what was stored a moment ago leads to work that is done twice, and never to a snapshot that is not whole.
func TestStaleListing(t *testing.T) {
	server := miniotest.Start(t)
	bucket := server.Bucket(t)
	url := "s3://" + bucket + "/app"
	var mu sync.Mutex
	last := map[string][]byte{} // by prefix, the listing before
	front := server.Front(t, miniotest.Vendor{Answer: func(resp *http.Response) error {
		q := resp.Request.URL.Query()
		if q.Get("list-type") != "2" || resp.StatusCode != http.StatusOK {
			return nil
		}
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		old, seen := last[q.Get("prefix")]
		last[q.Get("prefix")] = data
		if seen {
			data = old
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
		resp.Header.Set("Content-Length", fmt.Sprint(len(data)))
		return nil
	}})
	m := newMachine(t, front.Server)
	app := smallApp(t)
	for i := range 3 {
		writeFile(t, filepath.Join(app, "registry.json"), fmt.Sprintf(`{"one": %d}`, i))
		m.must(nil, "backup", app, "--remote", url)
	}
	direct := newMachine(t, server)
	direct.must(nil, "validate", "--all", "--read-data", "--remote", url)
	var l struct{ Snapshots []struct{ Places []string } }
	direct.must(&l, "list", "--remote", url)
	if len(l.Snapshots) != 3 {
		t.Errorf("%d snapshots, want 3", len(l.Snapshots))
	}
	direct.must(nil, "restore", "latest", "--target", filepath.Join(direct.home, "r"), "--remote", url)
	sameTree(t, app, filepath.Join(direct.home, "r", "app"))
}
