//go:build unix

// Command compare measures lifeboat beside what people use without it, on the same data, the same server and in one run:
//
//	go run ./bench/compare [-data app1g,small50k,big] [-runs N] [-peers restic,kopia,rclone,pipeline] [-cache DIR] [-json FILE]
//
// The others are restic, kopia and rclone, as far as they are on the PATH (`go install` has newer ones than distributions do), and the
// pipeline: `sqlite3 .backup` of each database, then tar, zstd -3 -T0 and mc pipe. All do the same steps on the same copy of the data,
// in turn, A B A B: a first backup, one of nothing, backups after changes, a restore, one file, a list, and a check of every byte.
// Each has its own prefix; the source is in the page cache; before restores and checks nothing is cached by the tool. What is
// restored is compared with the source, byte for byte. Who is not there or fails is named, and the others go on.
//
// Nobody writes to the databases meanwhile, or those who copy files would not have a consistent one. For live databases restic, kopia
// and rclone need them staged first, as the pipeline does here: the time of that is measured once for each backup of each run, and
// given beside theirs.
//
// It builds the pinned MinIO server and client the first time. It prints Markdown: the goals first, then for each figure a table with
// medians, in parentheses the smallest and the largest, and how many times lifeboat's median another one's is. The machine is shared
// with the server, whose processor time is therefore given apart. Bytes and requests are the server's own counts.
//
// A run of app1g by all takes about four minutes on two cores, one of small50k six, most of them rclone's, and one of big three.
package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lifeboat/bench/data"
	"lifeboat/bench/rig"
)

func main() { rig.Main("compare", compare) }

func compare(ctx context.Context) (err error) {
	what := flag.String("data", "app1g", "what to back up, of app1g, small50k and big (see bench/data)")
	runs := flag.Int("runs", 3, "how often each does it")
	peers := flag.String("peers", "restic,kopia,rclone,pipeline", "beside whom")
	cache := flag.String("cache", "", "directory that keeps the data between runs (default: the user's cache directory)")
	samples := flag.String("json", "", "file for every sample")
	flag.Parse()
	if flag.NArg() > 0 || *runs < 1 {
		flag.Usage()
		return errors.New("want flags only, and at least one run")
	}
	var sources []string
	for name := range strings.SplitSeq(*what, ",") {
		source, err := data.Cached(name, *cache)
		if err != nil {
			return err
		}
		sources = append(sources, source)
	}
	r, err := rig.New(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := r.Server.MakeBucket(ctx, bucket); err != nil {
		return err
	}
	var all []*bench
	for _, source := range sources {
		b := &bench{Rig: r, what: filepath.Base(source), source: source}
		if b.databases, err = findDatabases(source); err != nil {
			return err
		}
		list, absent := b.contestants(ctx, strings.Split(*peers, ","))
		b.contest(list, absent)
		all = append(all, b)
	}
	stopped := contest(ctx, all, *runs) // what was measured until then is printed all the same
	printHead(os.Stdout, all)
	printGoals(os.Stdout, all)
	for _, b := range all {
		b.print(os.Stdout)
	}
	if slices.ContainsFunc(all, func(b *bench) bool { return b.failed(0) }) {
		stopped = errors.Join(stopped, errors.New("lifeboat failed"))
	}
	return errors.Join(stopped, rig.WriteJSON(*samples, entries(all)))
}

func contest(ctx context.Context, all []*bench, runs int) error {
	for _, b := range all {
		for n := range runs {
			if err := b.run(ctx, n); err != nil {
				return err
			}
		}
	}
	return nil
}

const bucket = "bench"

// A bench is one data set, who takes part, and what each took.
type bench struct {
	*rig.Rig
	what, source string
	databases    []string // in source, relative
	mc           string
	list         []contestant
	absent       []string
	steps        []step
	results      [][]result     // by step and contestant
	staged       [][]rig.Sample // by step
}

// A result is what each run of one step by one contestant took; empty where it does not have the step.
type result struct {
	Runs   []rig.Sample
	Failed []string // why, of runs that failed
}

func (b *bench) contest(list []contestant, absent []string) {
	b.list, b.absent, b.steps = list, absent, stepsOf(b.what)
	b.results, b.staged = make([][]result, len(b.steps)), make([][]rig.Sample, len(b.steps))
	for k := range b.steps {
		b.results[k] = make([]result, len(list))
	}
}

// failed reports whether a contestant failed in any step.
func (b *bench) failed(contestant int) bool {
	return slices.ContainsFunc(b.results, func(of []result) bool { return len(of[contestant].Failed) > 0 })
}
