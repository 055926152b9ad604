package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"lifeboat/internal/sampleapp"
)

const demoHelp = `Plays everything on a small application that a second process writes to all the
while: backups while it is at work, the loss of its machine, a restore on
another one, and the proof that nothing is missing. It happens in a temporary
directory, needs no configuration and no network, and takes a few seconds.

   lifeboat demo
   lifeboat demo --keep

Exit code 0: nothing is missing; anything else is a bug, or no space.`

func demoFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "keep", Usage: "leave the directory for you to look at"},
		&cli.StringFlag{Name: "writer", Hidden: true}, // be the application in this directory, until the input ends
	}
}

// demo plays the whole life cycle. Each step is the command that anybody would type.
func demo(s *session, c *cli.Context) error {
	if dir := c.String("writer"); dir != "" {
		return demoWriter(c.Context, dir, os.Stdin, s.out)
	}
	root, err := s.demoRoot(c.Bool("keep"))
	if err != nil {
		return err
	}
	d := &demonstration{session: s, root: root, bucket: filepath.Join(root, "bucket"), config: filepath.Join(root, "lifeboat.yaml"),
		machine: filepath.Join(root, "machine-1")}
	if err := d.play(c.Context); err != nil {
		return err
	}
	if c.Bool("keep") {
		d.result.Directory = root
		s.say("\nEverything is in %s", root)
	}
	return s.document(d.result)
}

// demoRoot makes the directory in which everything happens. Unless it is to be kept it goes at the end of the command.
func (s *session) demoRoot(keep bool) (string, error) {
	if keep {
		return os.MkdirTemp(s.env.TempDir(), "lifeboat-demo-*")
	}
	return s.temporary()
}

type demonstration struct {
	*session
	root, bucket, config string
	machine              string // the one that everything happens on
	writer               *demoProcess
	result               struct {
		Commits   int    `json:"commits"` // by the application while it was backed up
		Snapshots int    `json:"snapshots"`
		Accounts  int64  `json:"accounts"`
		Transfers int64  `json:"transfers"`
		Total     int64  `json:"total"`
		Whole     bool   `json:"whole"`
		Directory string `json:"directory,omitempty"` // with --keep
	}
}

func (d *demonstration) play(ctx context.Context) error {
	d.say("Everything happens in %s, which is … below.", d.root)
	// What is configured on this machine is not meant here.
	if err := os.WriteFile(d.config, []byte("app: ledger\n"), 0o600); err != nil {
		return err
	}
	defer func() { d.writer.stop() }()
	for _, act := range []func(context.Context) error{d.work, d.backups, d.lose, d.recover, d.prove} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	d.say(`
The same with your application and a bucket:

   export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... AWS_ENDPOINT_URL_S3=https://...
   lifeboat backup /srv/app --remote s3://bucket/app
   lifeboat restore latest --remote s3://bucket/app --target /srv/app-restored`)
	return nil
}

func (d *demonstration) app() string { return filepath.Join(d.machine, "ledger") }

// work starts the application.
func (d *demonstration) work(ctx context.Context) error {
	d.say("\n1. An application at work: a database, a JSON registry and a vector store.")
	if err := sampleapp.Create(ctx, d.app(), 1); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if d.writer, err = startDemoWriter(ctx, self, d.app()); err != nil {
		return err
	}
	d.say("   A second process moves money between %d accounts, as fast as it can, until step 3.", sampleapp.Accounts)
	return pause(ctx, 2*time.Second)
}

// backups takes three, the first as anybody would.
func (d *demonstration) backups(ctx context.Context) error {
	d.say("\n2. Back it up while it runs. Nobody is stopped, no writer is locked out.")
	args := []string{"backup", d.app(), "--remote", d.bucket}
	if err := d.lifeboat(ctx, args...); err != nil {
		return err
	}
	for range 2 {
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
		var out bytes.Buffer
		if err := d.run(ctx, newUI(&out, io.Discard, d.env), append(args, "--json")...); err != nil {
			return err
		}
		var r backupReport
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			return err
		}
		d.say("   $ (again)\n   | snapshot %s of %s: %s, %s, in %s", r.Stamp, r.App, r.State, size(r.Stats.Bytes), seconds(r.Seconds))
	}
	d.result.Snapshots = 3
	return nil
}

// lose ends the application and removes all that its machine had.
func (d *demonstration) lose(context.Context) (err error) {
	d.say("\n3. The machine dies: the application, its data and its local store are gone.")
	if d.result.Commits, err = d.writer.stop(); err != nil {
		return fmt.Errorf("the application got an error while it was backed up: %w", err)
	}
	d.say("   Until then it had committed %s transactions, without a single error.", humanize.Comma(int64(d.result.Commits)))
	return os.RemoveAll(d.machine)
}

// recover brings everything back on another machine.
func (d *demonstration) recover(ctx context.Context) error {
	d.say("\n4. A new machine that has nothing but this program.")
	d.machine = filepath.Join(d.root, "machine-2")
	for _, args := range [][]string{
		{"list", "--remote", d.bucket},
		{"validate", "--read-data", "--remote", d.bucket},
		{"restore", "latest", "--remote", d.bucket, "--target", d.machine},
	} {
		if err := d.lifeboat(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// prove asks the application itself.
func (d *demonstration) prove(ctx context.Context) error {
	d.say("\n5. Is it whole?")
	r, err := sampleapp.Verify(ctx, d.app())
	if err != nil {
		return fmt.Errorf("the restored application is not whole: %w", err)
	}
	d.result.Accounts, d.result.Transfers, d.result.Total, d.result.Whole = r.Accounts, r.Transfers, r.Total, true
	d.say("   Yes. %s accounts hold %s in all, to the cent what they began with, and each of %s transfers\n"+
		"   is there on both sides. The registry and %s vectors agree with them.",
		humanize.Comma(r.Accounts), humanize.CommafWithDigits(float64(r.Total)/100, 2), humanize.Comma(r.Transfers), humanize.Comma(r.Vectors))
	return nil
}

// lifeboat runs a command of this program, and shows it as it would be typed.
func (d *demonstration) lifeboat(ctx context.Context, args ...string) error {
	short := func(s string) string { return strings.ReplaceAll(s, d.root, "…") }
	d.say("   $ lifeboat %s", short(strings.Join(args, " ")))
	var out bytes.Buffer
	err := d.run(ctx, newUI(&out, &out, d.env), args...)
	for line := range strings.Lines(short(out.String())) {
		d.say("   | %s", strings.TrimRight(line, "\n"))
	}
	return err
}

// run runs a command on the machine, which has a local store of its own.
func (d *demonstration) run(ctx context.Context, u *ui, args ...string) error {
	args = append([]string{"lifeboat"}, append(args, "--config", d.config, "--store", d.machine+"-store")...)
	if err := runCommand(ctx, u, args, d.env); err != nil {
		return fmt.Errorf("%s: %w", args[1], err)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
