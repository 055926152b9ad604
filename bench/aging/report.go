package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
)

// A day is all that happened in one, but the first.
type day struct {
	changed  amount
	uploaded int64 // bytes, of archives and manifests
	tables   int64 // of that, archives with tables and maps
	archives int64 // that its last snapshot refers to
}

// A sample is a look at the stores.
type sample struct {
	live   int64   // bytes of a store that has only a full snapshot of the same state
	stored []int64 // in each store
	needed []int64 // of that, by snapshots that are listed
}

// A report is what one life came to.
type report struct {
	workload
	size    amount // of the state at first
	days    []day
	samples []sample
	shape   *shape // of the newest snapshot
	aged    []fetched
	full    []fetched
}

// live lives for some days, looks at the stores each so many, and then restores the newest snapshot and a full one of the same state in turn, so often.
func (l *life) run(ctx context.Context, days, every, restores int, tell func(string)) (*report, error) {
	r := &report{workload: l.workload}
	first, err := l.next(ctx)
	if err != nil {
		return nil, err
	}
	r.size = first.changed
	for n := 1; n <= days; n++ {
		var d day
		var s stage
		for range l.perDay {
			if s, err = l.next(ctx); err != nil {
				return nil, err
			}
			d.changed.raw += s.changed.raw
			d.changed.packed += s.changed.packed
			d.uploaded += s.uploaded
			d.tables += s.tables
			d.archives = s.took.Archives.Count
		}
		r.days = append(r.days, d)
		tell(fmt.Sprintf("day %d: %d bytes changed, %.2f times that uploaded, %.2f of it tables; %d archives, %v bytes stored", n, d.changed.packed, d.worse(), float64(d.tables)/float64(d.uploaded), d.archives, s.stored))
		if n%every == 0 || n == days {
			if err := l.sample(ctx, r, s.stored); err != nil {
				return nil, err
			}
		}
	}
	return r, l.compare(ctx, r, restores)
}

// worse is how many times as much was uploaded as had changed.
func (d day) worse() float64 { return float64(d.uploaded) / float64(max(1, d.changed.packed)) }

// worseContent is the same without tables.
func (d day) worseContent() float64 {
	return float64(d.uploaded-d.tables) / float64(max(1, d.changed.packed))
}

func (l *life) sample(ctx context.Context, r *report, stored []int64) error {
	_, full, err := l.full(ctx)
	if err != nil {
		return err
	}
	s := sample{stored: stored}
	if s.live, err = full.stored(ctx); err != nil {
		return err
	}
	for _, shop := range l.shops {
		n, err := needed(ctx, shop.Store)
		if err != nil {
			return err
		}
		s.needed = append(s.needed, n)
	}
	r.samples = append(r.samples, s)
	return nil
}

// compare restores.
func (l *life) compare(ctx context.Context, r *report, restores int) error {
	id, full, err := l.full(ctx)
	if err != nil {
		return err
	}
	aged, err := l.open(ctx, l.newest, l.shops[0])
	if err != nil {
		return err
	}
	r.shape = aged
	plain, err := l.open(ctx, id, full)
	if err != nil {
		return err
	}
	for range restores {
		f, err := restoreOnce(ctx, l.newest, l.shops[0], aged, l.dir, l.isState)
		if err != nil {
			return err
		}
		r.aged = append(r.aged, f)
		if f, err = restoreOnce(ctx, id, full, plain, l.dir, l.isState); err != nil {
			return err
		}
		r.full = append(r.full, f)
	}
	return nil
}

// worst is the day on which most was uploaded for what had changed.
func (r *report) worst() day {
	return slices.MaxFunc(r.days, func(a, b day) int { return cmp.Compare(a.worse(), b.worse()) })
}

// worstContent is the largest ratio of a day without its tables.
func (r *report) worstContent() (most float64) {
	for _, d := range r.days {
		most = max(most, d.worseContent())
	}
	return most
}

// mostStored returns the largest of the samples' ratios of what store i holds to what of does.
func (r *report) mostStored(i int, of func(sample) int64) (most float64) {
	for _, s := range r.samples {
		most = max(most, float64(s.stored[i])/float64(of(s)))
	}
	return most
}

func live(s sample) int64 { return s.live }

// mostArchives returns how many archives a snapshot referred to at most.
func (r *report) mostArchives() int64 {
	return slices.MaxFunc(r.days, func(a, b day) int { return cmp.Compare(a.archives, b.archives) }).archives
}

// slower is how many times as long the aged snapshot took to restore as the full one: the median of the pairs.
func (r *report) slower() float64 {
	var ratios []float64
	for i, f := range r.aged {
		ratios = append(ratios, f.seconds/r.full[i].seconds)
	}
	return median(ratios)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// printStored prints what was uploaded and stored.
func printStored(w io.Writer, reports []*report) {
	fmt.Fprint(w, `| workload | state, MiB | full snapshot | changed a day, raw | changed a day | uploaded a day | of that, tables | worst day, times what changed | worst day without tables | uploaded in all | stored: newest only, times live | stored: history, times live | stored: history, times needed | archives referred to |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
`)
	for _, r := range reports {
		of := func(value func(day) int64) float64 {
			var list []float64
			for _, d := range r.days {
				list = append(list, float64(value(d))/(1<<20))
			}
			return median(list)
		}
		total := 0.0
		for _, d := range r.days {
			total += float64(d.uploaded) / (1 << 20)
		}
		last := r.samples[len(r.samples)-1]
		ratio := func(i int, base int64) float64 { return float64(last.stored[i]) / float64(base) }
		fmt.Fprintf(w, "| %s | %.0f | %.1f | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %.0f | %.2f (%.2f) | %.2f (%.2f) | %.2f (%.2f) | %d (%d) |\n", r.name,
			float64(r.size.raw)/(1<<20), float64(last.live)/(1<<20),
			of(func(d day) int64 { return d.changed.raw }), of(func(d day) int64 { return d.changed.packed }), of(func(d day) int64 { return d.uploaded }), of(func(d day) int64 { return d.tables }),
			r.worst().worse(), r.worstContent(), total,
			ratio(0, last.live), r.mostStored(0, live), ratio(1, last.live), r.mostStored(1, live), ratio(1, last.needed[1]), r.mostStored(1, func(s sample) int64 { return s.needed[1] }),
			r.days[len(r.days)-1].archives, r.mostArchives())
	}
}

// printRestored prints what restores of the newest snapshots took.
func printRestored(w io.Writer, reports []*report) {
	fmt.Fprint(w, `| workload | extents | archives with content | requests for them | most for one | archives with tables | requests for them | tables and maps, KiB | asked for, times the full one | seconds | full, seconds | ratio |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
`)
	for _, r := range reports {
		if len(r.aged) == 0 {
			continue
		}
		a := r.aged[0]
		seconds := func(list []fetched) float64 {
			var s []float64
			for _, f := range list {
				s = append(s, f.seconds)
			}
			return median(s)
		}
		fmt.Fprintf(w, "| %s | %d | %d | %d | %d | %d | %d | %.0f | %.2f | %.2f | %.2f | %.2f |\n", r.name,
			r.shape.extents, len(r.shape.archives), a.content, a.most, len(r.shape.tables), a.table, float64(r.shape.lines)/(1<<10),
			float64(a.bytes)/float64(r.full[0].bytes), seconds(r.aged), seconds(r.full), r.slower())
	}
}
