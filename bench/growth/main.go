//go:build unix

// Command growth shows how what lifeboat takes grows with what it is given:
//
//	go run ./bench/growth [-axis data,files,snapshots] [-most-data MIB] [-most-files N] [-most-snapshots N] [-json FILE]
//
// Along each axis one thing grows tenfold from point to point, and the others stay small: the size of one database (from 100 MiB on),
// the number of files (from 1,000 on, of some 100 bytes each), the number of snapshots that a store has (from 1 on). At each point
// the same commands run, against a MinIO server of their own: backups, a list, one file, a restore, a check, a prune. What says
// "cold" has no local store, as on a machine that has never seen the bucket.
//
// It prints, for each axis and figure, a table in Markdown. Behind a figure stands, as n^0.97, the exponent with which it has grown
// since the point before: 0 for what does not depend on it, 1 for what is in proportion to it. What grows faster than in proportion is
// listed at the end. Data is made, and removed, below the directory for temporary files, which needs room for four times the largest.
// With the defaults that takes about ten minutes; -most-data 10240 -most-files 1000000 about an hour.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lifeboat/bench/rig"
)

func main() { rig.Main("growth", run) }

func run(ctx context.Context) (err error) {
	which := flag.String("axis", "data,files,snapshots", "along which axes")
	mostData := flag.Int64("most-data", 1000, "MiB of the largest database")
	mostFiles := flag.Int64("most-files", 100_000, "files at most")
	mostSnapshots := flag.Int64("most-snapshots", 1000, "snapshots at most")
	samples := flag.String("json", "", "file for every sample")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		return errors.New("want flags only")
	}
	axes := []axis{
		{name: "data", unit: "MiB", sizes: tenfold(100, *mostData), make: makeDatabase},
		{name: "files", unit: "files", sizes: tenfold(1000, *mostFiles), make: makeFiles},
		{name: "snapshots", unit: "snapshots", sizes: tenfold(1, *mostSnapshots), make: makeLittle, history: true},
	}
	r, err := rig.New(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	fmt.Println(r.Here() + ".")
	var all []*point
	for _, a := range axes {
		if err == nil && slices.Contains(strings.Split(*which, ","), a.name) {
			err = a.run(ctx, r)
			a.print(os.Stdout) // also what was measured until it was stopped
			all = append(all, a.points...)
		}
	}
	return errors.Join(err, rig.WriteJSON(*samples, all))
}

// run measures one point after the other.
func (a *axis) run(ctx context.Context, r *rig.Rig) error {
	for i, size := range a.sizes {
		fmt.Fprintf(os.Stderr, "%s: %d %s\n", a.name, size, a.unit)
		p := &point{Axis: a.name, Size: size, Steps: map[string]rig.Sample{}, Failed: map[string]string{}, rig: r, bucket: fmt.Sprintf("%s-%d", a.name, i), dir: filepath.Join(r.Scratch, "point")}
		a.points = append(a.points, p)
		if err := p.run(ctx, *a); err != nil {
			return fmt.Errorf("%s: %d %s: %w", a.name, size, a.unit, err)
		}
	}
	return nil
}

// tenfold returns first, ten times that, and so on, up to most.
func tenfold(first, most int64) (sizes []int64) {
	for n := first; n <= most; n *= 10 {
		sizes = append(sizes, n)
	}
	return sizes
}
