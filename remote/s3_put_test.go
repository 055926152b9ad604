package remote_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/remote"
)

// A PUT says the same in every attempt, and what it says is right: minio-go's own checksum is not,
// after a retry.
func TestPutRepeatsItself(t *testing.T) {
	t.Parallel()
	for _, tls := range []bool{false, true} {
		f := newFake(t, tls)
		failures := 3
		f.intercept = func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n > failures {
				return false
			}
			switch n {
			case 1: // the server has read it all
				io.Copy(io.Discard, r.Body)
				answer(w, 503, "SlowDown", "Please reduce your request rate.")
			case 2: // the server has not
				answer(w, 500, "InternalError", "We encountered an internal error.")
			case 3:
				io.CopyN(io.Discard, r.Body, 1000)
				hangUp(w)
			}
			return true
		}
		env := map[string]string{}
		if tls {
			env["AWS_CA_BUNDLE"] = rootsOf(t, f.Server)
		}
		s := f.open(t, env)
		data := []byte(strings.Repeat("lifeboat", 500_000))
		if err := s.Put(t.Context(), "key", body(data), remote.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if string(f.objects["app/key"]) != string(data) {
			t.Error("the object is another")
		}
		if len(f.requests) != failures+1 {
			t.Errorf("%d requests, want %d", len(f.requests), failures+1)
		}
		sum := sha256.Sum256(data)
		for i, r := range f.requests {
			if got := r.Header.Get("X-Amz-Checksum-Sha256"); got != base64.StdEncoding.EncodeToString(sum[:]) {
				t.Errorf("request %d: x-amz-checksum-sha256 is %q", i, got)
			}
			if got := r.Header.Get("X-Amz-Content-Sha256"); got != hex.EncodeToString(sum[:]) {
				t.Errorf("request %d: x-amz-content-sha256 is %q", i, got)
			}
			if r.ContentLength != int64(len(data)) || r.Header.Get("Content-Encoding") != "" || len(r.Trailer) != 0 {
				t.Errorf("request %d: length %d, encoding %q, trailer %v", i, r.ContentLength, r.Header.Get("Content-Encoding"), r.Trailer)
			}
			if ua := r.Header.Get("User-Agent"); !strings.Contains(ua, "lifeboat/") {
				t.Errorf("request %d: User-Agent is %q", i, ua)
			}
		}
	}
}

// The answer to a conditional PUT is lost, after the object was stored or before.
func TestPutIfAbsentLostAnswer(t *testing.T) {
	t.Parallel()
	mine, other := []byte("mine"), []byte("four")
	for _, c := range []struct {
		name   string
		stored []byte // by the time the answer is lost
		before []byte // there already, and the first answer is definite
		want   error
	}{
		{name: "stored, lost", stored: mine},
		{name: "not stored, lost", stored: nil},
		{name: "lost, another's of the same size", stored: other, want: fs.ErrExist},
		{name: "lost, another's", stored: []byte("longer than mine"), want: fs.ErrExist},
		{name: "there before", before: other, want: fs.ErrExist},
		{name: "there before with the same content", before: mine, want: fs.ErrExist},
	} {
		for _, checksums := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/checksums=%t", c.name, checksums), func(t *testing.T) {
				f := newFake(t, false)
				f.checksums = checksums
				if c.before != nil {
					f.objects["app/key"] = c.before
				}
				puts := 0
				f.intercept = func(_ int, w http.ResponseWriter, r *http.Request) bool {
					if r.Method == http.MethodPut {
						puts++
					}
					if r.Method != http.MethodPut || puts > 1 || c.before != nil {
						return false
					}
					io.Copy(io.Discard, r.Body)
					if c.stored != nil {
						f.objects["app/key"] = c.stored
					}
					hangUp(w)
					return true
				}
				err := f.open(t, nil).Put(t.Context(), "key", body(mine), remote.PutOptions{IfAbsent: true})
				if !errors.Is(err, c.want) {
					t.Errorf("Put = %v, want %v", err, c.want)
				}
				want := mine
				if c.want != nil {
					want = append(c.stored, c.before...)
				}
				if got := f.objects["app/key"]; string(got) != string(want) {
					t.Errorf("the object is %q, want %q", got, want)
				}
				downloaded := strings.Contains(f.methods(), "GET")
				if compared := len(c.stored) == len(mine); downloaded != (compared && !checksums) {
					t.Errorf("downloaded to compare: %t", downloaded)
				}
			})
		}
	}
}

// Servers that know one header or the other not, and say so more or less clearly.
func TestPutOldServers(t *testing.T) {
	t.Parallel()
	unsupported := func(w http.ResponseWriter) {
		answer(w, 400, "InvalidArgument", "Unsupported header 'x-amz-checksum-sha256' received for this API call.")
	}
	notImplemented := func(w http.ResponseWriter) {
		answer(w, 501, "NotImplemented", "A header you provided implies functionality that is not implemented.")
	}
	for _, c := range []struct {
		name              string
		header            []string
		refuse            func(http.ResponseWriter)
		first, again      string // requests of the first conditional PUT, and of a later one
		checksum, digest5 bool   // in the last
	}{
		{"no checksum", []string{"X-Amz-Checksum-Sha256"}, unsupported, "HEAD PUT PUT", "HEAD PUT", false, true},
		{"no condition", []string{"If-None-Match"}, notImplemented, "HEAD PUT HEAD GET PUT", "HEAD GET PUT", true, false},
		{"no checksum, unnamed", []string{"X-Amz-Checksum-Sha256"}, notImplemented, "HEAD PUT HEAD GET PUT PUT", "HEAD PUT", false, true},
		{"neither", []string{"If-None-Match", "X-Amz-Checksum-Sha256"}, notImplemented, "HEAD PUT HEAD GET PUT PUT HEAD GET PUT", "HEAD GET PUT", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, false)
			f.intercept = func(_ int, w http.ResponseWriter, r *http.Request) bool {
				for _, h := range c.header {
					if r.Header.Get(h) != "" {
						io.Copy(io.Discard, r.Body)
						c.refuse(w)
						return true
					}
				}
				return false
			}
			var learned remote.Refusals
			cfg := remote.Config{URL: "s3://bucket/app", Endpoint: f.URL, RetryFor: -1}
			cfg.Recall = func(string) remote.Refusals { return learned }
			cfg.Learned = func(url string, r remote.Refusals) {
				if learned != (remote.Refusals{}) {
					t.Errorf("learned %+v, then %+v of %s", learned, r, url)
				}
				learned = r
			}
			s := open(t, cfg, nil)
			for i, key := range []string{"one", "two", "later"} {
				if key == "later" { // in another run
					s = open(t, cfg, nil)
				}
				if err := s.Put(t.Context(), key, body([]byte("data of "+key)), remote.PutOptions{IfAbsent: true}); err != nil {
					t.Fatal(err)
				}
				last := f.requests[len(f.requests)-1]
				if (last.Header.Get("X-Amz-Checksum-Sha256") != "") != c.checksum || (last.Header.Get("Content-Md5") != "") != c.digest5 {
					t.Errorf("headers of the last PUT: %v", last.Header)
				}
				if got, want := f.methods(), []string{c.first, c.again, c.again}[i]; got != want {
					t.Errorf("requests of %s: %q, want %q", key, got, want)
				}
				if string(f.objects["app/"+key]) != "data of "+key {
					t.Errorf("%s is %q", key, f.objects["app/"+key])
				}
			}
			if err := s.Put(t.Context(), "one", body([]byte("x")), remote.PutOptions{IfAbsent: true}); !errors.Is(err, fs.ErrExist) {
				t.Errorf("Put over another = %v, want fs.ErrExist", err)
			}
			if want := (remote.Refusals{Condition: slices.Contains(c.header, "If-None-Match"), Checksum: !c.checksum}); learned != want {
				t.Errorf("learned %+v, want %+v", learned, want)
			}
			false5 := body([]byte("x"))
			false5.SHA256[0] ^= 1
			if err := s.Put(t.Context(), "three", false5, remote.PutOptions{}); !errors.Is(err, remote.ErrMismatch) || f.objects["app/three"] != nil {
				t.Errorf("Put of a false body = %v, stored %q", err, f.objects["app/three"])
			}
		})
	}
}

// A refusal that is about no header is final: nothing is learned from it, and the body is sent once.
func TestPutRefusedForAnotherReason(t *testing.T) {
	for _, c := range []struct {
		status        int
		code, message string
	}{
		{400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size."},
		{400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"},
		{400, "InvalidRequest", "The storage class you specified is not valid"},
		{400, "KeyTooLongError", "Your key is too long"},
		{400, "InvalidArgument", "Unsupported Authorization type"},
		{501, "NotImplemented", "This bucket is read only; writing to it is not implemented"},
		{501, "NotImplemented", ""},
		{405, "MethodNotAllowed", "The specified header method is not allowed: if-none-match x-amz-checksum-sha256"},
		{403, "AccessDenied", "Header x-amz-checksum-sha256 is not supported for you"},
	} {
		f := newFake(t, false)
		f.intercept = func(_ int, w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut {
				return false
			}
			io.Copy(io.Discard, r.Body)
			answer(w, c.status, c.code, c.message)
			return true
		}
		s := open(t, remote.Config{URL: "s3://bucket/app", Endpoint: f.URL, RetryFor: time.Minute,
			Learned: func(_ string, r remote.Refusals) { t.Errorf("%s: learned %+v", c.code, r) }}, nil)
		for _, ifAbsent := range []bool{false, true} {
			err := s.Put(t.Context(), "key", body([]byte("data")), remote.PutOptions{IfAbsent: ifAbsent})
			if !errors.Is(err, remote.ErrUnavailable) || !strings.Contains(err.Error(), c.code) {
				t.Errorf("%s: Put = %v, want ErrUnavailable", c.code, err)
			}
		}
		if got := f.methods(); got != "PUT HEAD PUT" {
			t.Errorf("%s: requests %q, want each PUT once", c.code, got)
		}
	}
}

// A server that refuses whatever it is spared teaches nothing.
func TestPutRefusedInEveryDialect(t *testing.T) {
	f := newFake(t, false)
	f.intercept = func(_ int, w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		io.Copy(io.Discard, r.Body)
		answer(w, 501, "NotImplemented", "A header you provided implies functionality that is not implemented.")
		return true
	}
	s := open(t, remote.Config{URL: "s3://bucket/app", Endpoint: f.URL,
		Learned: func(_ string, r remote.Refusals) { t.Errorf("learned %+v", r) }}, nil)
	err := s.Put(t.Context(), "key", body([]byte("data")), remote.PutOptions{})
	if got := f.methods(); !errors.Is(err, remote.ErrUnavailable) || got != "PUT PUT" {
		t.Errorf("Put = %v after %q, want ErrUnavailable after two", err, got)
	}
}

// A server that takes If-None-Match and ignores it overwrites nothing.
func TestPutConditionIgnored(t *testing.T) {
	f := newFake(t, false)
	f.intercept = func(_ int, w http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("If-None-Match")
		return false
	}
	s := f.open(t, nil)
	put := func(data string) error {
		return s.Put(t.Context(), "key", body([]byte(data)), remote.PutOptions{IfAbsent: true})
	}
	if err := put("first"); err != nil {
		t.Fatal(err)
	}
	if err := put("second"); !errors.Is(err, fs.ErrExist) || string(f.objects["app/key"]) != "first" {
		t.Errorf("Put = %v, and the object is %q; want fs.ErrExist and the first", err, f.objects["app/key"])
	}
}

// Bytes that are damaged on the way are sent again; the damage is not this side's.
func TestPutDamagedOnTheWay(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	f.intercept = func(n int, w http.ResponseWriter, r *http.Request) bool {
		if n > 2 {
			return false
		}
		io.Copy(io.Discard, r.Body)
		answer(w, 400, "BadDigest", "The SHA256 you specified did not match the calculated checksum.")
		return true
	}
	if err := f.open(t, nil).Put(t.Context(), "key", body([]byte("data")), remote.PutOptions{}); err != nil {
		t.Error(err)
	}
	if got := f.methods(); got != "PUT PUT PUT" {
		t.Errorf("requests: %q", got)
	}
}

// What answers every PUT with 200 is no S3 server: nothing was stored.
func TestPutNotS3(t *testing.T) {
	f := newFake(t, false)
	f.intercept = func(_ int, w http.ResponseWriter, r *http.Request) bool {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "<html>Please log in</html>")
		return true
	}
	err := f.open(t, nil).Put(t.Context(), "key", body([]byte("data")), remote.PutOptions{})
	if !errors.Is(err, remote.ErrUnavailable) {
		t.Errorf("Put = %v, want ErrUnavailable", err)
	}
}

// Put does not touch the body once it has returned, though the transport may still be sending it.
func TestPutLeavesBodyAlone(t *testing.T) {
	f := newFake(t, false)
	f.intercept = func(_ int, w http.ResponseWriter, r *http.Request) bool {
		answer(w, 403, "AccessDenied", "Access Denied.") // without reading
		return true
	}
	s := f.open(t, nil)
	for range 20 {
		data := make([]byte, 1<<20)
		if err := s.Put(t.Context(), "key", body(data), remote.PutOptions{}); !errors.Is(err, remote.ErrUnavailable) {
			t.Fatalf("Put = %v, want ErrUnavailable", err)
		}
		clear(data) // the race detector is the judge
		for i := range data {
			data[i] = 1
		}
	}
}

// Where what is there is the same, nobody looks first whether anything is: neither on a server that knows conditions, nor on one that does not.
func TestPutSame(t *testing.T) {
	t.Parallel()
	for _, knows := range []bool{true, false} {
		f := newFake(t, false)
		f.intercept = func(_ int, w http.ResponseWriter, r *http.Request) bool {
			if !knows && r.Header.Get("If-None-Match") != "" {
				io.Copy(io.Discard, r.Body)
				answer(w, 501, "NotImplemented", "If-None-Match is not implemented.")
				return true
			}
			return false
		}
		s := f.open(t, nil)
		want := map[bool][]error{true: {nil, fs.ErrExist}, false: {nil, nil}}[knows]
		for i, want := range want {
			if err := s.Put(t.Context(), "one", body([]byte("content")), remote.PutOptions{IfAbsent: true, Same: true}); !errors.Is(err, want) {
				t.Errorf("conditions %v, time %d: %v, want %v", knows, i, err, want)
			}
		}
		if got, want := f.methods(), map[bool]string{true: "PUT PUT", false: "PUT PUT PUT"}[knows]; got != want {
			t.Errorf("conditions %v: %s, want %s", knows, got, want)
		}
		if got := string(f.objects["app/one"]); got != "content" {
			t.Errorf("conditions %v: it is %q", knows, got)
		}
	}
}
