//go:build unix

// Command far measures lifeboat, and restic beside it if that is on the PATH, against a server that is far away:
//
//	go run ./bench/far [-rtt 50ms] [-mbit 100] [-data app1g | big | small50k] [-peers restic] [-cache DIR] [-json FILE]
//	go run ./bench/far -size 20480 [-rtt 50ms] [-mbit 100] [-json FILE]
//
// A link of this program's own lies between the tools and a MinIO server: -mbit million bits a second in each direction, shared by all
// connections, and -rtt for the way there and back, half of it each way. A new connection costs one round trip more, as its handshake would.
// Slow start, loss and TLS are not imitated. The steps are those of bench/compare: backups, a restore, one file, a list.
//
// It prints a table in Markdown: seconds, requests, peak memory, bytes, and how full the link was: the share of what it could have
// carried in that time, of the direction that carried more.
//
// With -size the data is one database of so many MiB instead, most of which compresses well, made for the run and removed after: does
// memory stay flat, and how long is the database pinned? It needs room for two and a half times its size.
//
// app1g takes about seven minutes beside restic, and three alone; -size 20480 about twenty minutes.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lifeboat/bench/data"
	"lifeboat/bench/rig"
)

func main() { rig.Main("far", run) }

const bucket = "bench"

func run(ctx context.Context) (err error) {
	roundTrip := flag.Duration("rtt", 50*time.Millisecond, "time for the way to the server and back")
	mbit := flag.Int64("mbit", 100, "million bits a second, in each direction")
	what := flag.String("data", "app1g", "what to back up, app1g, small50k or big (see bench/data)")
	size := flag.Int64("size", 0, "MiB of one database to back up instead")
	peers := flag.String("peers", "restic", "beside whom, or nobody")
	cache := flag.String("cache", "", "directory that keeps the data between runs (default: the user's cache directory)")
	samples := flag.String("json", "", "file for every sample")
	flag.Parse()
	if flag.NArg() > 0 || *mbit < 1 || *roundTrip < 0 || *size < 0 {
		flag.Usage()
		return errors.New("want flags only")
	}
	r, err := rig.New(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := r.Server.MakeBucket(ctx, bucket); err != nil {
		return err
	}
	line, endpoint, stop, err := lay(r, *mbit*1e6/8, *roundTrip)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	d := &distance{Rig: r, link: line, endpoint: endpoint, source: filepath.Join(r.Scratch, "source")}
	name := *what
	if *size > 0 {
		name, d.large = fmt.Sprintf("a database of %d MiB", *size), true
		err = data.Bulk(d.source, *size*rig.MiB, data.Mix{Noise: 5, Text: 15})
	} else {
		err = d.copy(*what, *cache)
	}
	if err != nil {
		return err
	}
	var all []*result
	defer func() { // also what was measured until it was stopped
		fmt.Printf("%s, over %d Mbit/s and %v there and back; %s.\n\n", name, *mbit, *roundTrip, r.Here())
		print(os.Stdout, all)
		err = errors.Join(err, rig.WriteJSON(*samples, all))
	}()
	tools := []tool{d.lifeboat()}
	if _, err := exec.LookPath("restic"); err == nil && strings.Contains(*peers, "restic") && *size == 0 {
		tools = append(tools, d.restic())
	}
	return d.steps(ctx, tools, &all)
}

// lay puts a link before the server and returns the address of its near end.
func lay(r *rig.Rig, rate int64, roundTrip time.Duration) (l *link, endpoint string, stop func() error, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", nil, err
	}
	l = newLink(rate, roundTrip)
	ended := make(chan error, 1)
	go func() { ended <- l.serve(listener, strings.TrimPrefix(r.Server.Endpoint, "http://")) }()
	stop = func() error {
		listener.Close()
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Second): // connections that a tool has left open end with this process
			return nil
		}
	}
	return l, "http://" + listener.Addr().String(), stop, nil
}

// A distance is a link with a server at its end, and a source to back up.
type distance struct {
	*rig.Rig
	link     *link
	endpoint string
	source   string
	large    bool
}

// copy makes the source a copy of data that is kept.
func (d *distance) copy(what, cache string) error {
	dir, err := data.Cached(what, cache)
	if err != nil {
		return err
	}
	if out, err := exec.Command("cp", "-Rp", dir, d.source).CombinedOutput(); err != nil {
		return fmt.Errorf("copy %s: %w\n%s", dir, err, out)
	}
	return nil
}

// small is a file that every source gets beside its data.
const small = "note.txt"

// change is what happens before the increment.
func (d *distance) change() error {
	if d.large {
		return data.Touch(filepath.Join(d.source, "bulk.sqlite"), 1000, 1)
	}
	for _, db := range []string{"db/app.sqlite", "big.sqlite"} {
		if _, err := os.Stat(filepath.Join(d.source, db)); err == nil {
			return data.Mutate(filepath.Join(d.source, db), data.Scatter)
		}
	}
	return os.WriteFile(filepath.Join(d.source, small), []byte("changed\n"), 0o644)
}

// settled is how long the source is left alone after it was made and after a change: longer than what any tool waits for before it believes the times of files.
const settled = 3 * time.Second

// A result is what a step took.
type result struct {
	Step, Tool string
	Sample     rig.Sample
	Up, Down   int64         // bytes on the link
	Full       float64       // share of what the link could have carried, of the direction that carried more
	Pin        time.Duration `json:",omitempty"` // the longest read transaction on a database, as lifeboat says
	Failed     string        `json:",omitempty"`
}

// steps takes each step by each tool in turn. That one fails is noted.
func (d *distance) steps(ctx context.Context, tools []tool, all *[]*result) error {
	if err := os.WriteFile(filepath.Join(d.source, small), []byte("as it was\n"), 0o644); err != nil {
		return err
	}
	time.Sleep(settled)
	for _, t := range tools {
		if t.prepare == nil {
			continue
		}
		if err := d.Quietly(t.prepare()); err != nil {
			fmt.Fprintln(os.Stderr, err) // and so its first step will fail
		}
	}
	for _, s := range []struct {
		name   string
		before func() error
		cold   bool
		of     func(t tool) *exec.Cmd
	}{
		{"first backup", nil, false, func(t tool) *exec.Cmd { return t.backup() }},
		{"nothing changed", nil, false, func(t tool) *exec.Cmd { return t.backup() }},
		{"1 % changed at random places", d.change, false, func(t tool) *exec.Cmd { return t.backup() }},
		{"restore", nil, true, func(t tool) *exec.Cmd { return t.restore() }},
		{"one small file", nil, true, func(t tool) *exec.Cmd { return t.one() }},
		{"list", nil, false, func(t tool) *exec.Cmd { return t.list() }},
	} {
		if s.before != nil {
			if err := s.before(); err != nil {
				return err
			}
			time.Sleep(settled)
		}
		for _, t := range tools {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			fmt.Fprintf(os.Stderr, "%s: %s\n", s.name, t.name)
			if s.cold && t.forget != nil {
				if err := d.Quietly(t.forget()); err != nil {
					return err
				}
			}
			*all = append(*all, d.measure(s.name, t.name, s.of(t)))
			if err := os.RemoveAll(d.target()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *distance) measure(step, tool string, cmd *exec.Cmd) *result {
	r := &result{Step: step, Tool: tool}
	up, down := d.link.up.carried(), d.link.down.carried()
	var output []byte
	var err error
	if r.Sample, output, err = d.Output(cmd); err != nil {
		fmt.Fprintln(os.Stderr, err)
		r.Failed = err.Error()
		return r
	}
	r.Up, r.Down = d.link.up.carried()-up, d.link.down.carried()-down
	r.Full = float64(max(r.Up, r.Down)) / (float64(d.link.up.rate) * r.Sample.Wall.Seconds())
	var said struct {
		Stats struct {
			PinMS float64 `json:"pin_ms"`
		}
	}
	if json.Unmarshal(output, &said) == nil {
		r.Pin = time.Duration(said.Stats.PinMS * float64(time.Millisecond))
	}
	return r
}

// print writes the table of all results.
func print(w io.Writer, all []*result) {
	head := []string{"", "seconds", "link full, %", "sent, MiB", "received, MiB", "requests", "peak, MiB", "CPU, s", "longest pin, s"}
	var rows [][]string
	for _, r := range all {
		row := []string{r.Step + ": " + r.Tool}
		if r.Failed != "" {
			row = append(row, "failed")
		} else {
			row = append(row, fmt.Sprintf("%.2f", r.Sample.Wall.Seconds()), fmt.Sprintf("%.0f", 100*r.Full), fmt.Sprintf("%.3f", float64(r.Up)/rig.MiB), fmt.Sprintf("%.3f", float64(r.Down)/rig.MiB),
				fmt.Sprint(r.Sample.Requests()), fmt.Sprintf("%.0f", float64(r.Sample.Peak)/rig.MiB), fmt.Sprintf("%.2f", r.Sample.CPU.Seconds()))
			if r.Pin > 0 {
				row = append(row, fmt.Sprintf("%.2f", r.Pin.Seconds()))
			}
		}
		rows = append(rows, row)
	}
	rig.Table(w, head, rows)
	for r := range slices.Values(all) {
		if r.Failed != "" {
			fmt.Fprintf(w, "\n%s: %s failed: %s\n", r.Step, r.Tool, r.Failed)
		}
	}
}
