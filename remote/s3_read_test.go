package remote_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"lifeboat/remote"
)

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// breakAfter has a GET send its headers and so many bytes, and then break the connection.
func (f *fake) breakAfter(w http.ResponseWriter, r *http.Request, n int) bool {
	f.serve(&cutWriter{ResponseWriter: w, left: n}, r)
	w.(http.Flusher).Flush()
	hangUp(w)
	return true
}

type cutWriter struct {
	http.ResponseWriter
	left int
}

func (c *cutWriter) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.left -= n
	c.ResponseWriter.Write(p[:n])
	return len(p), nil
}

// A body that breaks off is asked for again from there, of the same content, at every place.
func TestReadResumes(t *testing.T) {
	t.Parallel()
	data := noise(3_000_000)
	for _, c := range []struct{ off, n int64 }{{0, -1}, {0, 3_000_000}, {1_000_000, 1_500_000}, {2_000_000, -1}} {
		f := newFake(t, false)
		f.objects["app/key"] = data
		f.intercept = func(n int, w http.ResponseWriter, r *http.Request) bool {
			switch {
			case n > 1 && r.Header.Get("If-Match") != etag(data):
				t.Errorf("request %d: If-Match is %q", n, r.Header.Get("If-Match"))
			case n == 3:
				answer(w, 503, "SlowDown", "Please reduce your request rate.")
				return true
			}
			return n <= 4 && f.breakAfter(w, r, 100_000*(n-1))
		}
		r, err := f.open(t, nil).Open(t.Context(), "key", c.off, c.n)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		want := data[c.off:]
		if c.n > 0 {
			want = want[:c.n]
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("read %d bytes, %v; want %d", len(got), err, len(want))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if len(f.requests) != 5 {
			t.Errorf("%d requests, want 5", len(f.requests))
		}
	}
}

// A body that never comes to its end is an error, and no end of asking.
func TestReadGivesUp(t *testing.T) {
	f := newFake(t, false)
	f.objects["app/key"] = noise(1000)
	f.intercept = func(n int, w http.ResponseWriter, r *http.Request) bool { return f.breakAfter(w, r, 1) }
	r, err := f.open(t, nil).Open(t.Context(), "key", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, remote.ErrUnavailable) || len(got) > 10 {
		t.Errorf("read %d bytes, %v; want io.ErrUnexpectedEOF and ErrUnavailable", len(got), err)
	}
	if n, again := r.Read(make([]byte, 1)); n != 0 || again == nil || again == io.EOF {
		t.Errorf("reading on = %d, %v; want the error", n, again)
	}
}

// What is replaced or deleted while it is read is not mixed up with what comes after.
func TestReadReplaced(t *testing.T) {
	for name, replace := range map[string]func(f *fake){
		"longer":  func(f *fake) { f.objects["app/key"] = append(noise(3000), 1) },
		"shorter": func(f *fake) { f.objects["app/key"] = noise(10) },
		"deleted": func(f *fake) { delete(f.objects, "app/key") },
	} {
		f := newFake(t, false)
		f.objects["app/key"] = noise(3000)
		f.intercept = func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				f.breakAfter(w, r, 1000)
			}
			return false
		}
		r, err := f.open(t, nil).Open(t.Context(), "key", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		replace(f)
		got, err := io.ReadAll(r)
		if err == nil || len(got) > 1000 {
			t.Errorf("%s: read %d bytes, %v; want an error after at most 1000", name, len(got), err)
		}
		if errors.Is(err, fs.ErrNotExist) != (name == "deleted") {
			t.Errorf("%s: %v", name, err)
		}
		r.Close()
	}
}

// Servers that answer something else than was asked for are found out before a byte is handed on.
func TestReadWrongAnswers(t *testing.T) {
	data := noise(1000)
	for name, serve := range map[string]http.HandlerFunc{
		"ignores Range": func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Range")
			w.Header().Set("ETag", `"x"`)
			w.Header().Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
			w.Write(data)
		},
		"other range":   ranged("bytes 0-9/1000", data[:10]),
		"shorter range": ranged("bytes 5-9/1000", data[5:10]),
		"longer range":  ranged("bytes 5-20/1000", data[5:21]),
		"lies":          ranged("bytes 5-14/1000", data[5:12]),
		"nonsense":      ranged("bytes five/1000", data[5:15]),
		"past the end":  ranged("bytes 5-14/10", data[5:15]),
	} {
		f := newFake(t, false)
		f.intercept = func(_ int, w http.ResponseWriter, r *http.Request) bool { serve(w, r); return true }
		r, err := f.open(t, nil).Open(t.Context(), "key", 5, 10)
		if !errors.Is(err, remote.ErrUnavailable) || r != nil {
			t.Errorf("%s: Open = %v, want ErrUnavailable", name, err)
		}
	}
}

func ranged(contentRange string, data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
		w.Header().Set("Content-Range", contentRange)
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		w.WriteHeader(http.StatusPartialContent)
		w.Write(data)
	}
}

// A listing that breaks in the middle goes on where it was, and never ends early without an error.
func TestListResumes(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	want := []string{"a", "b", "c", "d", "e", "f", "g"}
	for _, key := range want {
		f.objects["app/"+key] = []byte(key)
	}
	f.objects["app/"] = nil // a folder's mark
	f.objects["app2/x"] = nil
	f.intercept = func(n int, w http.ResponseWriter, r *http.Request) bool {
		switch n {
		case 2:
			hangUp(w)
		case 4:
			answer(w, 500, "InternalError", "We encountered an internal error.")
			return true
		}
		return false
	}
	var got []string
	for info, err := range f.open(t, nil).List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info.Key)
	}
	if len(got) != len(want) {
		t.Errorf("List = %q, want %q", got, want)
	}
}

// What cannot be the listing of this prefix in order is an error, and not a shorter list.
func TestListWrongAnswers(t *testing.T) {
	t.Parallel()
	page := func(keys ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			rec.WriteString(`<ListBucketResult><Name>bucket</Name>`)
			for _, key := range keys {
				rec.WriteString("<Contents><Key>" + key + "</Key><Size>1</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>")
			}
			rec.WriteString("</ListBucketResult>")
			w.Header().Set("Content-Type", "application/xml")
			w.Write(rec.Body.Bytes())
		}
	}
	for name, serve := range map[string]http.HandlerFunc{
		"out of order": page("app/b", "app/a"),
		"twice":        page("app/b", "app/b"),
		"elsewhere":    page("app/b", "other/c"),
		"login page": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			io.WriteString(w, "<html><body>Please log in</body></html>")
		},
		"cut": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/xml")
			io.WriteString(w, "<ListBucketResult><Name>bucket</Name><Contents><Key>app/a</Key>")
		},
	} {
		f := newFake(t, false)
		f.intercept = func(_ int, w http.ResponseWriter, r *http.Request) bool { serve(w, r); return true }
		s := open(t, remote.Config{URL: "s3://bucket/app", Endpoint: f.URL, RetryFor: -1}, nil)
		var err error
		for _, err = range s.List(t.Context(), "") {
		}
		if !errors.Is(err, remote.ErrUnavailable) {
			t.Errorf("%s: List = %v, want ErrUnavailable", name, err)
		}
	}
}

// Whether an object is missing, or the bucket, or the server is none of S3, a HEAD does not tell. A listing has told, if there was one, but only an answer that a
// server of S3 gave counts then.
func TestStatOfNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		listed, id bool
		want       string
	}{
		"at first":        {false, true, "HEAD GET"},
		"after a listing": {true, true, "HEAD"},
		"without an ID":   {true, false, "HEAD GET"},
	} {
		f := newFake(t, false)
		f.objects["app/there"] = []byte("x")
		f.intercept = func(_ int, w http.ResponseWriter, r *http.Request) bool {
			if test.id {
				w.Header().Set("X-Amz-Request-Id", "17A2B")
			}
			return false
		}
		s := f.open(t, nil)
		if test.listed {
			for _, err := range s.List(t.Context(), "") {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		f.methods()
		if _, err := s.Stat(t.Context(), "not/there"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
		if got := f.methods(); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
		if info, err := s.Stat(t.Context(), "there"); err != nil || info.Size != 1 {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
	}
}
