package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// A monitor that writes down what it is told, and answers as it is told to.
type fakeMonitor struct {
	*httptest.Server
	mu     sync.Mutex
	told   []string
	answer func(w http.ResponseWriter, r *http.Request)
}

func newMonitor(t *testing.T) *fakeMonitor {
	m := &fakeMonitor{}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m.mu.Lock()
		m.told = append(m.told, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Method, r.URL, body)))
		answer := m.answer
		m.mu.Unlock()
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(m.Close)
	return m
}

// answers makes the monitor answer in another way.
func (m *fakeMonitor) answers(how func(w http.ResponseWriter, r *http.Request)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answer = how
}

// take returns what the monitor was told since the last call.
func (m *fakeMonitor) take() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	told := strings.Join(m.told, ", ")
	m.told = nil
	return told
}

// A monitor is told how a command begins and ends, its URL is in no message, and whatever it answers changes nothing.
func TestPing(t *testing.T) {
	w, m := newWorld(t), newMonitor(t)
	secret := "0e8f7c52-7a52-4a37-9a55-0b7f0f6a2d11"
	at := m.URL + "/" + secret
	run := func(env []string, args ...string) (code int, said string) {
		t.Helper()
		cmd := w.command("", env, args...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		_ = cmd.Run()
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q: the URL is in %s", args, out.String())
		}
		return cmd.ProcessState.ExitCode(), out.String()
	}
	want := func(told string, code int, env []string, args ...string) string {
		t.Helper()
		got, said := run(env, args...)
		if got != code {
			t.Errorf("%q: exit code %d, want %d: %s", args, got, code, said)
		}
		if got := m.take(); got != told {
			t.Errorf("%q: the monitor was told %s, want %s", args, got, told)
		}
		return said
	}
	backup := []string{"backup", "app", "--app", "app", "--remote", "bucket"}
	ok := "POST /" + secret + "/start, POST /" + secret + " lifeboat backup: ok"
	want(ok, 0, nil, append(backup, "--ping", at)...)
	want(ok, 0, []string{"LIFEBOAT_PING=" + at}, backup...)
	w.write("url", at+"\n")
	want(ok, 0, []string{"LIFEBOAT_PING_FILE=" + w.path("url")}, backup...)
	want("", 0, nil, backup...)
	want("POST /"+secret+"/start?x=1, POST /"+secret+"?x=1 lifeboat drill: ok", 0, nil, "drill", "--remote", "bucket", "--ping", at+"?x=1")
	want("POST /"+secret+"/start, POST /"+secret+"/fail lifeboat backup: exit code 1: no source", 1, nil, "backup", "nosuch", "--remote", "bucket", "--ping", at)
	want("POST /"+secret+"/start, POST /"+secret+"/fail lifeboat backup: exit code 3: the snapshot is incomplete", 3, nil, append(backup, "nosuch", "--ping", at)...)
	w.write("assert.yaml", "assert: [{file: app/nosuch}]\n")
	want("POST /"+secret+"/start, POST /"+secret+"/fail lifeboat drill: exit code 5: the drill failed", 5, nil, "drill", "--remote", "bucket", "--assert", "assert.yaml", "--ping", at)
	want("POST /"+secret+"/start, POST /"+secret+"/fail lifeboat drill: exit code 64: usage", 64, nil, "drill", "--remote", "bucket", "--pick", "best", "--ping", at)

	m.answers(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) })
	said := want("POST /"+secret+"/start, POST /"+secret+"/start, POST /"+secret+" lifeboat backup: ok, POST /"+secret+" lifeboat backup: ok", 0, nil, append(backup, "--ping", at)...)
	if !strings.Contains(said, "was not told: it answered 500 Internal Server Error") {
		t.Errorf("of a monitor that fails: %s", said)
	}
	m.answers(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) })
	if _, said = run(nil, append(backup, "--ping", at)...); !strings.Contains(said, "it answered 302 Found") || strings.Contains(m.take(), "elsewhere") {
		t.Errorf("of a monitor that sends elsewhere: %s", said)
	}
	m.Close()
	said = want("", 0, nil, append(backup, "--ping", at)...)
	if !strings.Contains(said, "was not told: ") {
		t.Errorf("of a monitor that is gone: %s", said)
	}
	for _, bad := range []string{"hc-ping.com/" + secret, "ftp://hc-ping.com/" + secret, "https:///" + secret, "http://[::1/" + secret} {
		said = want("", 64, nil, append(backup, "--ping", bad)...)
		if !strings.Contains(said, "want a URL such as https://hc-ping.com/UUID") {
			t.Errorf("%s: %s", bad, said)
		}
	}
	want("", 64, []string{"LIFEBOAT_PING_FILE=" + w.path("nosuch")}, backup...)
}

// A monitor that never answers is given up.
func TestPingHasALimit(t *testing.T) {
	m := newMonitor(t)
	gone := make(chan struct{})
	m.answers(func(http.ResponseWriter, *http.Request) { <-gone })
	defer close(gone)
	u, err := url.Parse(m.URL)
	if err != nil {
		t.Fatal(err)
	}
	err = (&monitor{u, &http.Client{Timeout: 20 * time.Millisecond}}).tell(t.Context(), "start", "")
	if err == nil || !strings.Contains(err.Error(), "no answer within") {
		t.Errorf("%v", err)
	}
}
