package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// pingTime is how long a monitor may take to answer. A backup does not wait for more.
const pingTime = 10 * time.Second

func pingFlag() cli.Flag {
	return &cli.StringFlag{Name: "ping", Usage: "tell a monitor at `URL`: URL/start, then URL, or URL/fail", EnvVars: []string{"LIFEBOAT_PING"}}
}

// A monitor is told when a command begins and how it ends, as healthchecks.io wants it: https://healthchecks.io/docs/http_api/. Its URL is a
// secret: who knows it can say that all is well. So it is in no message.
type monitor struct {
	url    *url.URL
	client *http.Client
}

// monitor returns what --ping or LIFEBOAT_PING names, or the file that LIFEBOAT_PING_FILE names holds; nil for none.
func (s *session) monitor() (*monitor, error) {
	text, what := s.c.String("ping"), "--ping (or LIFEBOAT_PING)"
	if file := s.env.Getenv("LIFEBOAT_PING_FILE"); text == "" && file != "" {
		f, err := os.Open(s.env.Abs(file))
		if err != nil {
			return nil, usage(fmt.Errorf("LIFEBOAT_PING_FILE: %w", err))
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, 4096))
		if err != nil {
			return nil, usage(fmt.Errorf("LIFEBOAT_PING_FILE: %w", err))
		}
		if text, what = strings.TrimSpace(string(data)), "LIFEBOAT_PING_FILE"; text == "" {
			return nil, usagef("", "LIFEBOAT_PING_FILE: there is no URL in %s", file)
		}
	}
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, usagef("", "%s: want a URL such as https://hc-ping.com/UUID", what)
	}
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // a secret goes to no other host
	return &monitor{u, &http.Client{Timeout: pingTime, CheckRedirect: refuse}}, nil
}

// pinged does what a command does, and tells the monitor, if there is one. Nothing that has to do with the monitor changes what comes of the
// command.
func (s *session) pinged(ctx context.Context, do func() error) error {
	m, err := s.monitor()
	if err != nil {
		return err
	}
	if m == nil {
		return do()
	}
	started := make(chan error, 1)
	go func() { started <- m.tell(ctx, "start", "") }()
	err = do()
	failed := <-started
	f := ending(ctx, err)
	how, body := "", fmt.Sprintf("lifeboat %s: ok\n", s.c.Command.Name)
	if f.code != codeOK {
		how, body = "fail", fmt.Sprintf("lifeboat %s: exit code %d: %s\n", s.c.Command.Name, f.code, strings.ReplaceAll(f.kind, "_", " "))
	}
	if last := m.tell(context.WithoutCancel(ctx), how, body); last != nil {
		failed = last
	}
	if failed != nil {
		s.warn("the monitor at %s was not told: %v", m.url.Host, failed)
	}
	return err
}

// tell sends one message, and once more if that does not go through. The error says nothing of the URL.
func (m *monitor) tell(ctx context.Context, how, body string) error {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	err := m.post(ctx, how, body)
	if err != nil && ctx.Err() == nil {
		err = m.post(ctx, how, body)
	}
	return err
}

func (m *monitor) post(ctx context.Context, how, body string) error {
	target := *m.url
	if how != "" {
		target = *m.url.JoinPath(how)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), strings.NewReader(body))
	if err != nil {
		return errors.New("its URL cannot be asked for")
	}
	req.Header.Set("User-Agent", "lifeboat/"+version)
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := m.client.Do(req)
	if err != nil {
		var withURL *url.Error
		if errors.As(err, &withURL) {
			err = withURL.Err
		}
		if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("no answer within %s", pingTime)
		}
		return err
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("it answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	return nil
}
