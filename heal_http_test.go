//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"lifeboat/integration/miniotest"
	"lifeboat/internal/snaptest"
)

// objects returns the keys of a world's objects in the bucket, below a directory of the store.
func (x *wireWorld) objects(t *testing.T, client *minio.Client, dir string) (keys []string) {
	t.Helper()
	prefix := strings.TrimPrefix(x.remote, "s3://"+x.bucket+"/") + "/" + dir
	for info := range client.ListObjects(t.Context(), x.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if info.Err != nil {
			t.Fatal(info.Err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// stamps returns the stamps of the snapshots that are listed in the bucket.
func (x *wireWorld) stamps(t *testing.T, client *minio.Client) (list []string) {
	t.Helper()
	for _, key := range x.objects(t, client, "manifests/") {
		stamp, _, _ := strings.Cut(filepath.Base(key), "-")
		list = append(list, stamp)
	}
	return list
}

// sound fails the test if a snapshot in the bucket is not whole, but for those that were there before.
func (x *wireWorld) sound(t *testing.T, before ...string) {
	t.Helper()
	out, code := x.output(x.onlyRemote("validate", "--all", "--read-data", "--json")...)
	var r struct {
		Reports []struct {
			Stamp    string
			OK       bool
			Findings []struct{ Code, Detail string }
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("validate: exit code %d: %v\n%s", code, err, out)
	}
	for _, s := range r.Reports {
		if !s.OK && !slices.Contains(before, s.Stamp) {
			t.Errorf("%s is listed and is not whole: %v", s.Stamp, s.Findings)
		}
	}
}

// What the last snapshot is made of goes from the bucket while the next is taken, at any moment of that: the new one is whole, or not listed and
// the reason is told; and the next backup puts right what the sources allow. A few moments are tried, unless all are asked for.
func TestBaseGoesInMidBackup(t *testing.T) {
	server := miniotest.Start(t)
	t.Setenv("LIFEBOAT_PROGRESS", "none")
	every, _ := everyRequest()
	for lost, few := range map[string]int{"archives/": 4, "manifests/": 2} {
		t.Run(strings.TrimSuffix(lost, "/"), func(t *testing.T) {
			proxy := server.Proxy(t)
			w := &wire{proxy: proxy, bucket: proxy.Bucket(t)}
			client := server.Client(t)
			refused := 0
			for at, stride := 0, 1; ; at += stride {
				x := w.world(t)
				x.must(t, "backup", "app", "--app", "app", "--remote", x.remote)
				stamp := x.stamps(t, client)[0]
				gone := x.objects(t, client, lost)
				if err := os.RemoveAll(filepath.Join(x.dir, "store", "archives")); err != nil { // so that the next leans on the bucket
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(x.dir, "app", "sub", "new"), []byte("new"), 0o644); err != nil {
					t.Fatal(err)
				}
				x.tree = snaptest.Walk(t, filepath.Join(x.dir, "app"))
				hit := false
				proxy.Reset()
				proxy.Inject(func(n int, r *http.Request) miniotest.Action {
					if n == at {
						hit = true
						for _, key := range gone {
							if err := client.RemoveObject(r.Context(), x.bucket, key, minio.RemoveObjectOptions{}); err != nil {
								t.Error(err)
							}
						}
					}
					return miniotest.Action{}
				})
				backup := []string{"backup", "app", "--app", "app", "--remote", x.remote}
				code, errs := x.run(backup...)
				requests, last := len(proxy.Requests()), 0
				for i, r := range proxy.Requests() {
					if r.Query.Get("list-type") == "2" && strings.HasSuffix(r.Query.Get("prefix"), "/archives/") {
						last = i
					}
				}
				proxy.Inject(nil)
				x.clean(t)
				before := []string{stamp}
				if at > last { // nobody looked after that, so the next backup finds it
					before = x.stamps(t, client)
				} else {
					x.sound(t, stamp)
				}
				switch {
				case at > last:
				case code == 0:
					x.back(t, x.onlyRemote()...)
				case code != codeIntegrity || panicked.MatchString(errs):
					t.Errorf("exit code %d", code)
				case !strings.Contains(errs, "that remote lacks this snapshot"):
					t.Error("no clear message")
				default:
					refused++
				}
				if !hit {
					break
				}
				x.must(t, backup...)
				x.sound(t, before...)
				x.back(t, x.onlyRemote()...)
				if t.Failed() {
					t.Fatalf("that was request %d of %d; exit code %d\n%s", at, requests, code, errs)
				}
				if at == 0 && !every {
					stride = max(1, requests/few)
				}
			}
			if lost == "archives/" && every && refused == 0 {
				t.Error("no backup found that what it leans on had gone")
			}
		})
	}
}

// In a bucket, too, what was deleted, cut or flipped comes back, from another prefix of it or the local store; and where nothing is wrong, to look costs one listing.
func TestBucketHeals(t *testing.T) {
	proxy := miniotest.Start(t).Proxy(t)
	t.Setenv("LIFEBOAT_PROGRESS", "none")
	w := &wire{proxy: proxy, bucket: proxy.Bucket(t)}
	client := proxy.Client(t)
	x := w.world(t)
	second := x.remote + "-second"
	backup := []string{"backup", "app", "--app", "app", "--remote", x.remote, "--remote", second}
	valid := x.onlyRemote("validate", "--all", "--read-data")
	x.must(t, backup...)
	if err := os.WriteFile(filepath.Join(x.dir, "app", "one"), []byte(strings.Repeat("other ", 400)), 0o644); err != nil {
		t.Fatal(err)
	}
	x.must(t, backup...)
	x.must(t, backup...)
	proxy.Reset()
	x.must(t, "push", "--app", "app", "--remote", x.remote)
	var asked []string
	for _, r := range proxy.Requests() {
		asked = append(asked, r.Method+" "+r.Path+" "+r.Query.Get("prefix"))
	}
	if len(asked) > 5 {
		t.Errorf("where nothing is to be done, a push asks %d times: %q", len(asked), asked)
	}
	harm := func(key string, change func([]byte) []byte) {
		t.Helper()
		o, err := client.GetObject(t.Context(), x.bucket, key, minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(o)
		if err != nil {
			t.Fatal(err)
		}
		data = change(data)
		if _, err := client.PutObject(t.Context(), x.bucket, key, bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	archives := x.objects(t, client, "archives/")
	if len(archives) < 4 {
		t.Fatalf("%d archives", len(archives))
	}
	for i, key := range archives {
		if i%2 == 0 {
			if err := client.RemoveObject(t.Context(), x.bucket, key, minio.RemoveObjectOptions{}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		harm(key, func(b []byte) []byte { return b[:len(b)-7] })
	}
	if code, errs := x.run(backup...); code != 0 || !strings.Contains(errs, "\nrepaired: ") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
	x.must(t, valid...)
	for _, key := range append(archives, x.objects(t, client, "manifests/")...) {
		harm(key, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	}
	x.must(t, "validate", "--all", "--read-data", "--repair", "--app", "app", "--remote", x.remote, "--remote", second)
	x.must(t, valid...)
	x.tree = snaptest.Walk(t, filepath.Join(x.dir, "app"))
	x.back(t, x.onlyRemote()...)
}
