//go:build unix

// Command compare measures lifeboat beside what people do without it, on the same data, the same server and in one run:
//
//	go run ./bench/compare [-data app1g | small50k] [-runs N] [-cache DIR]
//
// The other is `sqlite3 .backup` of each database, then tar, zstd -3 -T0 and mc pipe in one pipeline; and back by mc cat, zstd
// and tar. They take turns, A B A B, each time with a new prefix and nothing cached of its own. Both start with the source in the page
// cache and end when everything is at the server, or laid down and, for lifeboat, verified and durable. What either restores is
// compared with the source.
//
// It needs the programs sqlite3, tar, zstd and bash, and builds the pinned MinIO server and client the first time. It prints a
// table in Markdown: medians, in parentheses the smallest and the largest, and the ratio of the medians. The machine is
// shared with the server, whose processor time is therefore given too.
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
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	what := flag.String("data", "app1g", "app1g or small50k: what to back up (see bench/data)")
	runs := flag.Int("runs", 3, "how often each does it")
	cache := flag.String("cache", "", "directory that keeps the data between runs (default: the user's cache directory)")
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
	defer os.RemoveAll(scratch)
	b := &bench{source: source, scratch: scratch}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	defer b.server.Stop()
	contestants := []contestant{lifeboat(b), pipeline(b)}
	results := make([]result, len(contestants))
	for n := range *runs {
		for i, c := range contestants {
			fmt.Fprintf(os.Stderr, "run %d of %d: %s\n", n+1, *runs, c.name)
			if err := b.measure(ctx, c, &results[i]); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return b.print(*what, contestants, results)
}

// ensureData makes the data unless an earlier run has.
func ensureData(what, cache string) (string, error) {
	makers := map[string]func(string) error{"app1g": data.App, "small50k": data.Small}
	if makers[what] == nil {
		return "", fmt.Errorf("there is no data %q; there is app1g and small50k", what)
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
	if b.server, err = miniotest.StartDedicated(ctx); err != nil {
		return err
	}
	if err := b.makeBucket(ctx); err != nil {
		b.server.Stop()
		return err
	}
	return nil
}
