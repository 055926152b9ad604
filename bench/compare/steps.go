//go:build unix

package main

import (
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
	do     func(c contestant) func(place) *exec.Cmd
	after  func(b *bench, c contestant, p place) error // is it right?
	cold   bool                                        // caches are dropped before
}

const none data.Where = -1

// settled is how long the source is left alone after a change: longer than what any contestant waits for before it believes the times of files.
const settled = 3 * time.Second

func stepsOf(what string) []step {
	backup := func(c contestant) func(place) *exec.Cmd { return c.backup }
	list := []step{
		{name: "first backup", change: none, do: backup},
		{name: "nothing changed", change: none, do: backup},
	}
	if what == "app1g" {
		list = append(list,
			step{name: "1 % of the rows changed at random places, 1 % appended", change: data.Scatter, do: backup},
			step{name: "1 % changed among the newest, 1 % appended", change: data.Recent, do: backup})
	}
	return append(list,
		step{name: "restore", change: none, cold: true, do: func(c contestant) func(place) *exec.Cmd { return c.restore },
			after: func(b *bench, c contestant, p place) error { return b.compare(p.source, c.laid(p)) }},
		step{name: "one small file", change: none, cold: true, do: func(c contestant) func(place) *exec.Cmd { return c.one }},
		step{name: "list", change: none, do: func(c contestant) func(place) *exec.Cmd { return c.list }},
		step{name: "verify all data", change: none, cold: true, do: func(c contestant) func(place) *exec.Cmd { return c.verify }})
}

// run does all steps once, by each contestant in turn, over one copy of the data.
func (b *bench) run(n int, steps []step, list []contestant, results [][]result) (err error) {
	dir := filepath.Join(b.scratch, fmt.Sprint("run", n))
	source := filepath.Join(dir, "source")
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := copyTree(b.source, source); err != nil {
		return err
	}
	places := make([]place, len(list))
	for i, c := range list {
		places[i] = place{source: source, prefix: fmt.Sprintf("c%d-%d", i, n), dir: filepath.Join(dir, fmt.Sprint("c", i))}
		places[i].target = filepath.Join(places[i].dir, "target")
		if err := os.Mkdir(places[i].dir, 0o755); err != nil {
			return err
		}
		for _, cmd := range c.prepare {
			if err := b.quietly(cmd(places[i])); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	for k, step := range steps {
		if step.change != none {
			for _, db := range b.mutable {
				if err := data.Mutate(filepath.Join(source, db), step.change); err != nil {
					return err
				}
			}
		}
		if step.change != none {
			time.Sleep(settled)
		}
		if err := readAll(source); err != nil { // so that it is in the page cache
			return err
		}
		for turn := range list {
			i := (turn + n) % len(list) // who begins changes, as what the one before left behind in caches and in the server's memory is not the same for all
			fmt.Fprintf(os.Stderr, "run %d: %s: %s\n", n+1, step.name, list[i].name)
			if err := b.measure(step, list[i], places[i], &results[k][i]); err != nil {
				return fmt.Errorf("%s: %s: %w", list[i].name, step.name, err)
			}
		}
	}
	return nil
}

func (b *bench) measure(step step, c contestant, p place, r *result) error {
	cmd := step.do(c)
	if cmd == nil {
		return nil
	}
	if step.cold && c.forget != nil {
		if err := b.quietly(c.forget(p)); err != nil {
			return err
		}
	}
	s, err := b.sample(cmd(p))
	if err != nil {
		return err
	}
	*r = append(*r, s)
	if step.after != nil {
		if err := step.after(b, c, p); err != nil {
			return err
		}
	}
	return os.RemoveAll(p.target)
}
