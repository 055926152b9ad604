package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/sampleapp"
)

func demoFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "keep", Usage: "leave the directory of the demonstration for you to look at"},
		&cli.StringFlag{Name: "writer", Hidden: true}, // the second process: writes to this directory until its input ends
	}
}

// demo plays the whole life cycle: an application at work, a backup under way, a machine that is lost, and a restore that
// is proven. Each step is the command that anybody would type.
func demo(s *session, c *cli.Context) error {
	if dir := c.String("writer"); dir != "" {
		return demoWriter(c.Context, dir, os.Stdin, s.out)
	}
	ctx := c.Context
	root, err := os.MkdirTemp("", "lifeboat-demo-*")
	if err != nil {
		return err
	}
	if !c.Bool("keep") {
		defer os.RemoveAll(root)
	}
	d := &demonstration{session: s, root: root, bucket: filepath.Join(root, "bucket"),
		app: filepath.Join(root, "machine-1", "ledger"), restored: filepath.Join(root, "machine-2")}
	if err := d.play(ctx); err != nil {
		return err
	}
	if c.Bool("keep") {
		s.say("\nEverything is in %s", root)
	}
	return s.document(d.result)
}

type demonstration struct {
	*session
	root, bucket, app, restored string
	result                      struct {
		Commits   int              `json:"commits"` // by the application while it was backed up
		Accounts  int64            `json:"accounts"`
		Transfers int64            `json:"transfers"`
		Total     int64            `json:"total"`
		Whole     bool             `json:"whole"`
		Report    sampleapp.Report `json:"-"`
	}
}

func (d *demonstration) play(ctx context.Context) error {
	d.say("1. An application at work: a database, a JSON registry and a vector store in %s", d.app)
	if err := sampleapp.Create(ctx, d.app, 1); err != nil {
		return err
	}
	stopWriter, err := d.startWriter(ctx)
	if err != nil {
		return err
	}
	defer stopWriter()
	d.say("   A second process moves money between %d accounts as fast as it can.", sampleapp.Accounts)

	d.say("\n2. Back it up while it runs. Nobody is stopped, nothing is locked.")
	store := filepath.Join(d.root, "machine-1", "lifeboat")
	if err := d.lifeboat(ctx, "backup", d.app, "--remote", d.bucket, "--store", store, "--app", "ledger"); err != nil {
		return err
	}

	d.say("\n3. The machine dies: the application, its data and its local store are gone.")
	d.result.Commits, err = stopWriter()
	if err != nil {
		return fmt.Errorf("the application got an error while it was backed up: %w", err)
	}
	if err := os.RemoveAll(filepath.Join(d.root, "machine-1")); err != nil {
		return err
	}
	d.say("   It had committed %d transactions, without a single error.", d.result.Commits)

	d.say("\n4. A new machine that has nothing but this program.")
	empty := filepath.Join(d.root, "machine-2-lifeboat")
	for _, args := range [][]string{
		{"list", "--remote", d.bucket, "--store", empty, "--app", "ledger"},
		{"validate", "--read-data", "--remote", d.bucket, "--store", empty, "--app", "ledger"},
		{"restore", "latest", "--remote", d.bucket, "--store", empty, "--app", "ledger", "--target", d.restored},
	} {
		if err := d.lifeboat(ctx, args...); err != nil {
			return err
		}
	}

	d.say("\n5. Is it whole?")
	report, err := sampleapp.Verify(ctx, filepath.Join(d.restored, "ledger"))
	if err != nil {
		return fmt.Errorf("the restored application is not whole: %w", err)
	}
	d.result.Accounts, d.result.Transfers, d.result.Total, d.result.Whole = report.Accounts, report.Transfers, report.Total, true
	d.say("   %d accounts hold %d in all, to the cent what they began with; each of %d transfers is there on both sides;", report.Accounts, report.Total, report.Transfers)
	d.say("   the registry and %d vectors agree with it; both databases pass the integrity check; every file has its SHA-256.", report.Vectors)
	d.say(`
The same with your application and a bucket:

   export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... AWS_ENDPOINT_URL_S3=https://...
   lifeboat backup /srv/app --remote s3://bucket/app
   lifeboat restore latest --remote s3://bucket/app --target /srv/app-restored`)
	return nil
}

// lifeboat runs a command of this program, and shows it as it would be typed.
func (d *demonstration) lifeboat(ctx context.Context, args ...string) error {
	d.say("   $ lifeboat %s", strings.ReplaceAll(strings.Join(args, " "), d.root, "…"))
	out, errOut := &indented{w: d.out, off: d.quiet || d.json}, &indented{w: d.err, off: d.quiet}
	if code := run(ctx, append([]string{"lifeboat"}, args...), d.env, out, errOut); code != codeOK {
		return fmt.Errorf("lifeboat %s ended with exit code %d", args[0], code)
	}
	return nil
}

// startWriter starts the application as a process of its own. The returned function ends it and returns how many
// transactions it committed, the first time it is called.
func (d *demonstration) startWriter(ctx context.Context) (stop func() (int, error), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "demo", "--writer", d.app)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var complaint strings.Builder
	cmd.Stderr = &complaint
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() { // its first commit
		cmd.Wait()
		return nil, fmt.Errorf("the application did not start: %s", complaint.String())
	}
	stopped := false
	return func() (int, error) {
		if stopped {
			return 0, nil
		}
		stopped = true
		in.Close()
		last := ""
		for lines.Scan() {
			last = lines.Text()
		}
		if err := cmd.Wait(); err != nil {
			return 0, errors.New(strings.TrimSpace(complaint.String()))
		}
		return strconv.Atoi(last)
	}, nil
}

// demoWriter is the application: it writes until its input ends, and prints how often it committed.
func demoWriter(ctx context.Context, dir string, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		io.Copy(io.Discard, in)
		cancel()
	}()
	started := false
	commits, err := sampleapp.Write(ctx, dir, sampleapp.WriteOptions{Pause: time.Millisecond}, func(int) {
		if !started {
			fmt.Fprintln(out, 1)
			started = true
		}
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, commits)
	return err
}

// indented writes text a little to the right, so that the words of a command stand apart from those about it.
type indented struct {
	w   io.Writer
	off bool
	mid bool // in the middle of a line
}

func (i *indented) Write(p []byte) (int, error) {
	if i.off {
		return len(p), nil
	}
	for _, line := range strings.SplitAfter(string(p), "\n") {
		if line == "" {
			continue
		}
		if !i.mid && line != "\n" {
			io.WriteString(i.w, "   | ")
		}
		io.WriteString(i.w, line)
		i.mid = !strings.HasSuffix(line, "\n")
	}
	return len(p), nil
}
