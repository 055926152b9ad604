//go:build unix

// Command compare measures lifeboat beside what people use without it, on the same data, the same server and in one run:
//
//	go run ./bench/compare [-data app1g | small50k | big] [-runs N] [-cache DIR] [-json FILE]
//
// The others are restic, kopia and rclone, as far as they are installed (`go install` has newer ones than distributions do), and
// `sqlite3 .backup` of each database, then tar, zstd -3 -T0 and mc pipe in one pipeline. All do the same steps on the same copy of
// the data, in turn, A B A B: a first backup, one of nothing, backups after changes, a restore, one file, a list, and a check of every
// byte. Nobody writes to the databases meanwhile, or those who copy files would not have a consistent one: for live databases they
// need them staged first, which only the pipeline does here. Each has its own prefix; the source is in the page cache; before restores
// and checks nothing is cached by the tool. What is restored is compared with the source, byte for byte.
//
// It needs the programs sqlite3, tar, zstd and bash, and builds the pinned MinIO server and client the first time. It prints
// Markdown: for each figure a table with medians, in parentheses the smallest and the largest, and how many times lifeboat's median
// another one's is. The machine is shared with the server, whose processor time is therefore given apart. Bytes and requests are
// the server's own counts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"lifeboat/bench/data"
	"lifeboat/bench/measure"
	"lifeboat/integration/miniotest"
	"lifeboat/internal/durable"
)

func main() {
	measure.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := compare(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func compare(ctx context.Context) (err error) {
	what := flag.String("data", "app1g", "app1g, small50k or big: what to back up (see bench/data)")
	runs := flag.Int("runs", 3, "how often each does it")
	cache := flag.String("cache", "", "directory that keeps the data between runs (default: the user's cache directory)")
	samples := flag.String("json", "", "file for every sample")
	flag.Parse()
	if flag.NArg() > 0 || *runs < 1 {
		flag.Usage()
		return errors.New("want flags only, and at least one run")
	}
	source, err := ensureData(*what, *cache)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "lifeboat-bench-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	b := &bench{source: source, scratch: scratch}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	defer b.server.Stop()
	list, absent := b.contestants()
	steps := stepsOf(*what)
	results := make([][]result, len(steps))
	for k := range steps {
		results[k] = make([]result, len(list))
	}
	for n := range *runs {
		if err := b.run(n, steps, list, results); err != nil {
			return err
		}
	}
	b.print(*what, steps, list, absent, results)
	if *samples == "" {
		return nil
	}
	return writeJSON(*samples, *what, steps, list, results)
}

// bigMiB is the size of the one database of big.
const bigMiB = 1900

// ensureData makes the data unless an earlier run has.
func ensureData(what, cache string) (string, error) {
	makers := map[string]func(string) error{"app1g": data.App, "small50k": data.Small, "big": func(dir string) error { return data.Big(dir, bigMiB) }}
	if makers[what] == nil {
		return "", fmt.Errorf("there is no data %q; there is app1g, small50k and big", what)
	}
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(dir, "lifeboat-bench")
	}
	dir := filepath.Join(cache, what)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	fmt.Fprintf(os.Stderr, "making %s\n", dir)
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(cache, what+"-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := makers[what](tmp); err != nil {
		return "", err
	}
	return dir, durable.Rename(tmp, dir)
}

// A bench is the server and the programs that all contestants use.
type bench struct {
	source, scratch string
	server          *miniotest.Dedicated
	mc, program     string
	databases       []string // in source, relative
	mutable         []string // those of them that bench/data can change
	small           string   // a small file of the source
}

func (b *bench) prepare(ctx context.Context) (err error) {
	for _, p := range []string{"sqlite3", "tar", "zstd", "bash"} {
		if _, err := exec.LookPath(p); err != nil {
			return fmt.Errorf("%w; install it first", err)
		}
	}
	b.program = filepath.Join(b.scratch, "lifeboat")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", b.program, "lifeboat").CombinedOutput(); err != nil {
		return fmt.Errorf("build lifeboat: %w\n%s", err, out)
	}
	if b.mc, err = miniotest.ClientProgram(ctx); err != nil {
		return err
	}
	if b.databases, err = findDatabases(b.source); err != nil {
		return err
	}
	if err := b.chooseFiles(); err != nil {
		return err
	}
	if b.server, err = miniotest.StartDedicated(ctx); err != nil {
		return err
	}
	if err := b.makeBucket(); err != nil {
		b.server.Stop()
		return err
	}
	return nil
}
