//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"lifeboat/bench/data"
	"lifeboat/bench/rig"
)

// An axis is one thing that grows.
type axis struct {
	name, unit string
	sizes      []int64
	make       func(dir string, size int64) error // the source
	history    bool                               // size is the number of snapshots
	points     []*point
}

// A point is a size on an axis, and what each step took there.
type point struct {
	Axis    string
	Size    int64
	Steps   map[string]rig.Sample
	Failed  map[string]string // what went wrong, of steps that failed
	State   int64             // bytes of the local store, after the backups
	Proofs  int64             // and those without its archives, which may go when they are sent
	rig     *rig.Rig
	bucket  string // its own
	dir     string // removed at the end
	changes int
}

// A step is a command, and what happens before and after it.
type step struct {
	name   string
	before func(ctx context.Context, p *point, a axis) error
	args   func(p *point) []string
	cold   bool // nothing is cached, as on another machine
}

func steps() []step {
	const latest = "latest"
	always := func(args ...string) func(*point) []string { return func(*point) []string { return args } }
	backup := func(p *point) []string { return []string{"backup", "data=" + p.source()} }
	return []step{
		{name: "first backup", args: backup},
		{name: "nothing changed", args: backup, before: remember},
		{name: "one small file changed", args: backup, before: func(_ context.Context, p *point, _ axis) error { return p.change() }},
		{name: "list, the first", args: always("list")},
		{name: "list, again", args: always("list")},
		{name: "list, cold", args: always("list"), cold: true},
		{name: "show, cold", args: always("show", latest), cold: true},
		{name: "one small file, cold", args: always("cat", latest, "data/"+changed), cold: true},
		{name: "restore, cold", args: func(p *point) []string { return []string{"restore", latest, "--target", p.target()} }, cold: true},
		{name: "validate, cold", args: always("validate", latest), cold: true},
		{name: "status", args: always("status")},
		{name: "prune --keep-last 1", args: always("prune", "--keep-last", "1"), before: weigh},
	}
}

// settled is how long the source is left alone before the first backup, so that the next believes the times of its files.
const settled = 3 * time.Second

func (p *point) source() string { return filepath.Join(p.dir, "source") }
func (p *point) target() string { return filepath.Join(p.dir, "target") }

// run makes the source and takes the steps. That one fails is noted, and the others are taken.
func (p *point) run(ctx context.Context, a axis) (err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(p.dir)) }()
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		return err
	}
	if err := p.rig.Server.MakeBucket(ctx, p.bucket); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.rig.Server.RemoveBucket(context.WithoutCancel(ctx), p.bucket)) }()
	if err := a.make(p.source(), p.Size); err != nil {
		return err
	}
	if err := p.change(); err != nil {
		return err
	}
	time.Sleep(settled)
	for _, s := range steps() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if s.before != nil {
			if err := s.before(ctx, p, a); err != nil {
				return err
			}
		}
		sample, err := p.rig.Sample(p.command(s))
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s %d: %s: %v\n", p.Axis, p.Size, s.name, err)
			p.Failed[s.name] = err.Error()
		} else {
			p.Steps[s.name] = sample
		}
		if err := os.RemoveAll(p.target()); err != nil {
			return err
		}
	}
	return nil
}

func (p *point) command(s step) *exec.Cmd {
	store := filepath.Join(p.dir, "store")
	if s.cold {
		store = filepath.Join(p.dir, "none")
	}
	return p.rig.Command(p.bucket, store, s.args(p)...)
}

// changed is a file that every source has beside its data.
const changed = "note.txt"

func (p *point) change() error {
	p.changes++
	return os.WriteFile(filepath.Join(p.source(), changed), fmt.Appendf(nil, "change %d\n", p.changes), 0o644)
}

// remember takes snapshots until there are as many as the axis wants.
func remember(ctx context.Context, p *point, a axis) error {
	if !a.history {
		return nil
	}
	for range p.Size - 1 {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := p.change(); err != nil {
			return err
		}
		if err := p.rig.Quietly(p.command(steps()[0])); err != nil {
			return err
		}
	}
	return nil
}

// weigh notes the size of the local store.
func weigh(_ context.Context, p *point, _ axis) error {
	root := filepath.Join(p.dir, "store")
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		p.State += info.Size()
		if rel, _ := filepath.Rel(root, path); !strings.HasPrefix(rel, "archives") {
			p.Proofs += info.Size()
		}
		return nil
	})
}

func makeDatabase(dir string, mib int64) error {
	return data.Bulk(dir, mib*rig.MiB, data.Mix{Noise: 50, Text: 50})
}

// perDirectory is how many files makeFiles puts into one.
const perDirectory = 500

func makeFiles(dir string, n int64) error {
	for i := range n {
		sub := filepath.Join(dir, fmt.Sprintf("%04d", i/perDirectory))
		if i%perDirectory == 0 {
			if err := os.MkdirAll(sub, 0o755); err != nil {
				return err
			}
		}
		text := fmt.Appendf(nil, `{"record": %d, "state": "as it was made", "of": "many small ones, each in a file of its own"}`+"\n", i)
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("record_%06d.json", i)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// makeLittle makes what has a history: a hundred files and a small database.
func makeLittle(dir string, _ int64) error {
	if err := makeDatabase(filepath.Join(dir, "db"), 2); err != nil {
		return err
	}
	return makeFiles(dir, 100)
}
