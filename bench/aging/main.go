// Command aging lives with lifeboat for some months, on a scale on which that takes minutes:
//
//	go run ./bench/aging [-days 120] [-live 64] [-meant 10240] [-only TEXT] [-restores 5] [-v]
//
// It makes the state of a program, of -live MiB, changes it from day to day in several ways, and takes a snapshot after each change
// by the code that the command has: capture, the base and what a snapshot leans on, the commit beside prunes, retention and removal with its grace,
// restore. Only the store is memory, and the clock goes as fast as it is wanted to. Sizes that rules go by (archives, size classes, the least that is
// stored again) are divided as the state is of one of -meant MiB; pages, blocks, frames and members are what they are.
//
// It prints two tables in Markdown. Compressed sizes are those of frames of 1 MiB. In the first, beside what the workload is:
//
//	full snapshot      MiB of a store that has one full snapshot of the last state: what is live
//	changed a day      MiB of pages (4 KiB) of databases and blocks (64 KiB) of other files that were not at the same place the day before,
//	                   as they are and compressed; the median
//	uploaded           MiB of archives and manifests
//	worst day          the largest ratio of what was uploaded on a day to what had changed, compressed; and the same without tables and maps
//	newest only        what lies in a store whose policy keeps the newest snapshot alone, with all that the grace of 48 hours holds back, in relation
//	                   to what is live: at the end, and in parentheses at most
//	history            the same of a store that keeps 7 daily, 4 weekly and 6 monthly ones, in relation to what is live, and to what those need
//	                   that are listed
//	archives           that the last snapshot's archives table has, and in parentheses at most
//
// In the second, the last snapshot is restored from the first store, in turn with a full one of the same state.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "aging:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	days := flag.Int("days", 120, "for how many days, after the first snapshot")
	often := flag.Int("often-days", 3, "for how many, where there is a snapshot every five minutes")
	size := flag.Int64("live", 64, "size of the state, in MiB")
	meant := flag.Int64("meant", 10<<10, "size of the state that it stands for, in MiB")
	only := flag.String("only", "", "only workloads whose names begin with this")
	restores := flag.Int("restores", 5, "how often each is restored")
	every := flag.Int("every", 10, "days from one look at the stores to the next")
	verbose := flag.Bool("v", false, "tell of each day")
	flag.Parse()
	if flag.NArg() > 0 || *days < 1 || *often < 1 || *size < 1 || *every < 1 {
		flag.Usage()
		return errors.New("want flags only, and numbers of at least 1")
	}
	dir, err := os.MkdirTemp("", "lifeboat-aging-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var reports []*report
	for i, w := range workloads() {
		if !strings.HasPrefix(w.name, *only) {
			continue
		}
		home := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(home, 0o700); err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, w.name)
		l, err := newLife(w, home, *size<<20, *meant<<20)
		if err != nil {
			return err
		}
		n := *days
		if w.perDay > 1 {
			n = *often
		}
		r, err := l.run(ctx, n, *every, *restores, func(text string) {
			if *verbose {
				fmt.Fprintln(os.Stderr, text)
			}
		})
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		reports = append(reports, r)
		if err := os.RemoveAll(home); err != nil {
			return err
		}
	}
	if len(reports) == 0 {
		return fmt.Errorf("no workload begins with %q", *only)
	}
	fmt.Printf("%d days (%d where there is a snapshot every five minutes), a state of %d MiB for one of %d; %s/%s, %d processors.\n\n",
		*days, *often, *size, *meant, runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	printStored(os.Stdout, reports)
	fmt.Println()
	printRestored(os.Stdout, reports)
	return nil
}
