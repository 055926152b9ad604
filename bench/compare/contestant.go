//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"lifeboat/bench/measure"
	"lifeboat/remote"
)

// A contestant backs up the source below a prefix of the bucket, and restores it from there.
type contestant struct {
	name    string
	backup  func(prefix, dir string) *exec.Cmd         // dir is empty and its own
	restore func(prefix, dir, target string) *exec.Cmd // target does not exist
	laid    func(target string) string                 // where the source's files lie below target
}

// A result is what each run of a contestant took.
type result struct {
	backup, restore []sample
	stored          []float64 // bytes at the server
}

// A sample is one measured command.
type sample struct {
	measure.Usage
	server time.Duration // processor time of the server meanwhile
}

const bucket = "bench"

// measure runs a contestant once, from nothing to the data restored and compared.
func (b *bench) measure(ctx context.Context, c contestant, r *result) error {
	prefix := fmt.Sprintf("%s-%d", strings.Fields(c.name)[0], len(r.backup))
	dir := filepath.Join(b.scratch, prefix)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := readAll(b.source); err != nil { // so that it is in the page cache
		return err
	}
	s, err := b.sample(c.backup(prefix, dir))
	if err != nil {
		return err
	}
	r.backup = append(r.backup, s)
	stored, err := b.stored(ctx, prefix)
	if err != nil {
		return err
	}
	r.stored = append(r.stored, stored)
	target := filepath.Join(dir, "restored")
	if s, err = b.sample(c.restore(prefix, dir, target)); err != nil {
		return err
	}
	r.restore = append(r.restore, s)
	return b.compare(c.laid(target))
}

func (b *bench) sample(cmd *exec.Cmd) (s sample, err error) {
	cmd.Env = append(cmd.Environ(), b.env()...)
	var said strings.Builder
	cmd.Stderr = &said
	before, err := measure.CPUOf(b.server.PID)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return s, err
	}
	if s.Usage, err = measure.Run(cmd); err != nil {
		return s, fmt.Errorf("%w\n%s", err, said.String())
	}
	after, err := measure.CPUOf(b.server.PID)
	if errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	s.server = after - before
	return s, err
}

func (b *bench) env() []string {
	host := strings.TrimPrefix(b.server.Endpoint, "http://")
	return append(b.server.Env(), fmt.Sprintf("MC_HOST_bench=http://%s:%s@%s", b.server.AccessKey, b.server.SecretKey, host),
		"MC_CONFIG_DIR="+filepath.Join(b.scratch, "mc"), "HOME="+b.scratch)
}

func (b *bench) makeBucket(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, b.mc, "mb", "--quiet", "bench/"+bucket)
	cmd.Env = append(os.Environ(), b.env()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make a bucket: %w\n%s", err, out)
	}
	return nil
}

// stored returns how many bytes lie below a prefix.
func (b *bench) stored(ctx context.Context, prefix string) (total float64, err error) {
	env := map[string]string{}
	for _, e := range b.server.Env() {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	store, err := remote.Open(ctx, remote.Config{URL: "s3://" + bucket + "/" + prefix, Getenv: func(name string) string { return env[name] }})
	if err != nil {
		return 0, err
	}
	for o, err := range store.List(ctx, "") {
		if err != nil {
			return 0, err
		}
		total += float64(o.Size)
	}
	return total, nil
}

func lifeboat(b *bench) contestant {
	url := func(prefix string) string { return "s3://" + bucket + "/" + prefix }
	return contestant{
		name: "lifeboat",
		backup: func(prefix, dir string) *exec.Cmd {
			return exec.Command(b.program, "backup", "data="+b.source, "--remote", url(prefix), "--store", filepath.Join(dir, "store"), "--progress", "none")
		},
		restore: func(prefix, dir, target string) *exec.Cmd {
			return exec.Command(b.program, "restore", "latest", "--remote", url(prefix), "--store", filepath.Join(dir, "none"), "--target", target, "--progress", "none")
		},
		laid: func(target string) string { return filepath.Join(target, "data") },
	}
}

// pipeline is how it is done by hand. mc sends parts of 64 MiB, as many at once as it chooses.
func pipeline(b *bench) contestant {
	var stage, leave strings.Builder
	for _, db := range b.databases {
		fmt.Fprintf(&stage, "mkdir -p \"$STAGE\"/%q && sqlite3 %q \".backup '$STAGE/%s'\"\n", filepath.Dir(db), filepath.Join(b.source, db), db)
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			fmt.Fprintf(&leave, " --exclude=%q", "./"+db+suffix)
		}
	}
	script := "set -euo pipefail\nmkdir \"$STAGE\"\n" + stage.String() +
		`tar -cf - -C "$STAGE" . -C "$SOURCE"` + leave.String() + ` . | zstd -q -3 -T0 | "$MC" pipe --quiet "$OBJECT"`
	bash := func(script string, env ...string) *exec.Cmd {
		cmd := exec.Command("bash", "-c", script)
		cmd.Env = append(os.Environ(), env...)
		return cmd
	}
	object := func(prefix string) string { return "OBJECT=bench/" + bucket + "/" + prefix + "/backup.tar.zst" }
	return contestant{
		name: "sqlite3 .backup, tar, zstd -3 -T0, mc pipe",
		backup: func(prefix, dir string) *exec.Cmd {
			return bash(script, "STAGE="+filepath.Join(dir, "stage"), "SOURCE="+b.source, "MC="+b.mc, object(prefix))
		},
		restore: func(prefix, dir, target string) *exec.Cmd {
			return bash(`set -euo pipefail; mkdir "$TARGET"; "$MC" cat "$OBJECT" | zstd -q -dc | tar -xf - -C "$TARGET"`, "TARGET="+target, "MC="+b.mc, object(prefix))
		},
		laid: func(target string) string { return target },
	}
}
