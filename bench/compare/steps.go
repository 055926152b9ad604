//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"lifeboat/bench/data"
)

// A step is one thing that every contestant does, after a change to the source.
type step struct {
	name   string
	change data.Where // what happens to the databases before; none for nothing
	backup bool
	cold   bool // caches are dropped before
	do     func(c contestant) func(place) *exec.Cmd
	after  func(b *bench, c contestant, p place, output []byte) error // is it right?
}

const none data.Where = -1

// settled is how long the source is left alone after it was made and after a change: longer than what any contestant waits for before it believes the times of files.
const settled = 3 * time.Second

// The names of steps, which the goals go by.
const (
	firstBackup = "first backup"
	unchanged   = "nothing changed"
	scattered   = "1 % of the rows changed at random places, 1 % appended"
	recent      = "1 % changed among the newest, 1 % appended"
	fullRestore = "restore"
	oneFile     = "one small file"
	listing     = "list"
	verifying   = "verify all data"
)

func stepsOf(what string) []step {
	backup := func(name string, change data.Where) step {
		return step{name: name, change: change, backup: true, do: func(c contestant) func(place) *exec.Cmd { return c.backup }}
	}
	list := []step{backup(firstBackup, none), backup(unchanged, none)}
	if what == "app1g" {
		list = append(list, backup(scattered, data.Scatter), backup(recent, data.Recent))
	}
	list = append(list, step{name: fullRestore, change: none, cold: true, do: func(c contestant) func(place) *exec.Cmd { return c.restore }, after: isSource})
	if what != "big" { // which has one file
		list = append(list, step{name: oneFile, change: none, cold: true, do: func(c contestant) func(place) *exec.Cmd { return c.one }, after: isSmallFile})
	}
	return append(list,
		step{name: listing, change: none, do: func(c contestant) func(place) *exec.Cmd { return c.list }},
		step{name: verifying, change: none, cold: true, do: func(c contestant) func(place) *exec.Cmd { return c.verify }})
}

// isSource reports what of a restore is not as the source is.
func isSource(b *bench, c contestant, p place, _ []byte) error {
	var rewritten []string
	if c.rewrites {
		rewritten = b.databases
	}
	return sameTree(p.source, c.laid(p), rewritten)
}

func isSmallFile(_ *bench, _ contestant, p place, output []byte) error {
	want, err := os.ReadFile(filepath.Join(p.source, p.small))
	if err == nil && !bytes.Equal(output, want) {
		err = fmt.Errorf("%d bytes came that are not the %d of %s", len(output), len(want), p.small)
	}
	return err
}

// run does all steps once, by each contestant in turn, over one copy of the data. That one fails is noted, and the others go on.
func (b *bench) run(ctx context.Context, n int) (err error) {
	dir := filepath.Join(b.Scratch, fmt.Sprint(b.what, "-", n))
	source := filepath.Join(dir, "source")
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := copyTree(b.source, source); err != nil {
		return err
	}
	mutable, small, err := chooseFiles(source)
	if err != nil {
		return err
	}
	places := make([]place, len(b.list))
	for i, c := range b.list {
		places[i] = place{source: source, small: small, prefix: fmt.Sprintf("%s-%d-%d", b.what, i, n), dir: filepath.Join(dir, fmt.Sprint("c", i))}
		places[i].target = filepath.Join(places[i].dir, "target")
		if err := os.Mkdir(places[i].dir, 0o755); err != nil {
			return err
		}
		for _, cmd := range c.prepare {
			if err := b.Quietly(cmd(places[i])); err != nil {
				fmt.Fprintf(os.Stderr, "%s: %v\n", c.name, err) // and so its first step will fail
			}
		}
	}
	time.Sleep(settled)
	for k, step := range b.steps {
		if step.change != none {
			for _, db := range mutable {
				if err := data.Mutate(filepath.Join(source, db), step.change); err != nil {
					return err
				}
			}
			time.Sleep(settled)
		}
		if err := readAll(source); err != nil { // so that it is in the page cache
			return err
		}
		for turn := range b.list {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			i := (turn + n) % len(b.list) // who begins changes, as what the one before left behind in caches and in the server's memory is not the same for all
			fmt.Fprintf(os.Stderr, "%s, run %d: %s: %s\n", b.what, n+1, step.name, b.list[i].name)
			if err := b.measure(step, b.list[i], places[i], &b.results[k][i]); err != nil {
				fmt.Fprintf(os.Stderr, "%s: %s: %v\n", b.list[i].name, step.name, err)
				b.results[k][i].Failed = append(b.results[k][i].Failed, err.Error())
			}
		}
		if step.backup && len(b.databases) > 0 {
			if err := b.stage(k, dir, source); err != nil {
				return err
			}
		}
	}
	return nil
}

// measure takes one step.
func (b *bench) measure(step step, c contestant, p place, r *result) (err error) {
	make := step.do(c)
	if make == nil {
		return nil
	}
	if step.cold && c.forget != nil {
		if err := b.Quietly(c.forget(p)); err != nil {
			return err
		}
	}
	defer func() { err = errors.Join(err, os.RemoveAll(p.target)) }()
	s, output, err := b.Output(make(p))
	if err != nil {
		return err
	}
	if step.after != nil {
		if err := step.after(b, c, p, output); err != nil {
			return err
		}
	}
	r.Runs = append(r.Runs, s)
	return nil
}

// stage measures what those who do not stage databases themselves need before a step.
func (b *bench) stage(k int, dir, source string) error {
	script, _ := b.staging()
	stage := filepath.Join(dir, "stage")
	s, err := b.Sample(bash(script, "STAGE="+stage, "SOURCE="+source))
	if err != nil {
		fmt.Fprintf(os.Stderr, "staging: %v\n", err)
		return nil
	}
	b.staged[k] = append(b.staged[k], s)
	return os.RemoveAll(stage)
}
