//go:build unix

// Command live shows what a backup does to an application that writes meanwhile:
//
//	go run ./bench/live [-mib 600] [-rates 500,0] [-seconds 10] [-limit 60] [-only TEXT] [-json FILE]
//
// An application commits to a database of -mib MiB, so many times a second as -rates say (0 is as fast as it can: it rests as long as
// it has worked, so that others get the lock), one message changed and one appended at a time, with synchronous=NORMAL. Meanwhile,
// in turn: nobody; a first backup by lifeboat, and a second one; litestream, which replicates to the same server; restic over a copy that
// sqlite3 makes with VACUUM INTO, and over one by `.backup`. In WAL mode, and, but for litestream, which needs that, in DELETE mode. Each has a copy of the database of its own.
//
// It prints a table in Markdown. What the application is asked about: commits a second while the tool ran, how long one took (BEGIN
// IMMEDIATE to COMMIT; the longest is the longest that a writer was blocked), commits that failed (busy_timeout is 5 s), and the largest that the write-ahead log
// was. Of the tool: how long it ran, its processor time and memory, and what it sent. Those that do not end by themselves (nobody,
// litestream) run for -seconds; a `.backup` that has not ended after -limit seconds is given up and named: it begins anew whenever
// somebody commits between two of its steps.
//
// With two rates that takes about six minutes on two cores, at most twelve.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"lifeboat/bench/data"
	"lifeboat/bench/rig"
)

func main() { rig.Main("live", run) }

func run(ctx context.Context) (err error) {
	mib := flag.Int("mib", 600, "size of the database")
	rateList := flag.String("rates", "500,0", "commits a second that the application wants; 0 for as many as it can")
	seconds := flag.Int("seconds", 10, "how long those run that do not end")
	limit := flag.Int("limit", 60, "seconds after which sqlite3 .backup is given up")
	only := flag.String("only", "", "only scenes whose names have this in them")
	samples := flag.String("json", "", "file for every result")
	flag.Parse()
	rates, err := parseRates(*rateList)
	if err != nil || flag.NArg() > 0 || *mib < 1 || *seconds < 1 || *limit < 1 {
		flag.Usage()
		return errors.Join(err, errors.New("want flags only, and numbers of at least 1"))
	}
	r, err := rig.New(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	s := &stage{Rig: r, seconds: *seconds, limit: *limit, origin: filepath.Join(r.Scratch, "origin", "big.sqlite")}
	if err := data.Big(filepath.Dir(s.origin), *mib); err != nil {
		return err
	}
	if err := r.Server.MakeBucket(ctx, bucket); err != nil {
		return err
	}
	var all []*result
	defer func() { // also what was measured until it was stopped
		fmt.Printf("A database of %d MiB; %s.\n\n", *mib, r.Here())
		print(os.Stdout, all)
		err = errors.Join(err, rig.WriteJSON(*samples, all))
	}()
	for _, rate := range rates {
		for _, scene := range s.scenes() {
			if !strings.Contains(scene.name+", "+scene.mode, *only) {
				continue
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			fmt.Fprintf(os.Stderr, "%s, %s, %s\n", scene.mode, rateText(rate), scene.name)
			results, err := s.play(scene, rate)
			if err != nil {
				return err
			}
			all = append(all, results...)
		}
	}
	return nil
}

const bucket = "bench"

func parseRates(list string) (rates []int, err error) {
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is no number of commits a second", text)
		}
		rates = append(rates, n)
	}
	return rates, nil
}

func rateText(rate int) string {
	if rate == 0 {
		return "as fast as it can"
	}
	return fmt.Sprintf("%d a second", rate)
}

// warmUp is how long an application writes before anything is measured.
const warmUp = 2 * time.Second
