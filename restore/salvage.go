package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"lifeboat/archive"
	"lifeboat/internal/durable"
	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// Salvaged says what a restore with Options.Salvage could not bring back.
type Salvaged struct {
	Whole     bool   `json:"whole"` // nothing is lost
	Lost      []Lost `json:"lost"`  // in the order of their paths; at most 10,000
	LostCount int64  `json:"lost_count"`
	Unknown   []Gap  `json:"unknown,omitempty"` // where nobody knows what there was
}

// A Lost is a file that did not come back as it was.
type Lost struct {
	Path   string     `json:"path"` // in the snapshot
	Size   int64      `json:"size"`
	As     string     `json:"saved_as,omitempty"` // path under which what is left of it lies, with zeros where something is lost; "" if nothing is
	Bytes  int64      `json:"lost_bytes"`
	Ranges [][2]int64 `json:"lost_ranges,omitempty"` // offset and length in the file; at most 1,000
	Pages  [][2]int64 `json:"lost_pages,omitempty"`  // of a database: the first and the last of each run, counted from 1; at most 1,000
	Why    string     `json:"why"`
}

// A Gap is a part of the files table that cannot be read. What it described begins with the path First, and lies before the path Before.
type Gap struct {
	First  string `json:"first"`
	Before string `json:"before,omitempty"` // "" for what comes last
	Why    string `json:"why"`
}

const (
	maxLost       = 10_000 // files that are listed
	maxLostRanges = 1_000  // of one file
)

// damagedSuffix is added to the name of a file of which a part is lost, so that nobody takes it for the file.
const damagedSuffix = ".damaged"

// salvage knows what is lost while a snapshot is laid down. Its methods may be called on nil, which takes no loss.
type salvage struct {
	snap *layout.Snapshot

	mu    sync.Mutex
	files map[*output]*loser
	lost  []Lost
	count int64
	bytes map[string]int64 // of what is lost, by source
	lines map[string]int64
	gaps  []Gap
}

// A loser is a file of which something is lost.
type loser struct {
	ranges [][2]int64
	whole  bool // every byte arrived, and together they are not the file
	why    string
}

func newSalvage(s *layout.Snapshot) *salvage {
	return &salvage{snap: s, files: map[*output]*loser{}, bytes: map[string]int64{}, lines: map[string]int64{}}
}

// takes reports whether an error is a loss to go on with.
func (sv *salvage) takes(err error) bool { return sv != nil && layout.AboutData(err) }

// plan plans with what can be read of the files table.
func (sv *salvage) plan(ctx context.Context, sel *selection) (*plan, error) {
	p, err := planOf(ctx, sel, sv.snap.Files)
	if err == nil || !layout.AboutData(err) {
		return p, err
	}
	p, again := planOf(ctx, sel, sv.wholeFiles)
	if len(sv.gaps) == 0 || errors.Is(again, ErrNothingSelected) { // it breaks a rule, or nothing of it can be read
		return nil, err
	}
	return p, again
}

// wholeFiles yields what can be read of the files table.
func (sv *salvage) wholeFiles(ctx context.Context) iter.Seq2[*manifest.File, error] {
	return sv.snap.WholeFiles(ctx, func(first, next string, err error) error {
		if !layout.AboutData(err) {
			return err
		}
		if !slices.ContainsFunc(sv.gaps, func(g Gap) bool { return g.First == first }) {
			sv.gaps = append(sv.gaps, Gap{first, next, err.Error()})
		}
		return nil
	})
}

// loser returns what is lost of a file, to add to it. The caller holds the lock.
func (sv *salvage) loser(out *output, why string) *loser {
	lo := sv.files[out]
	if lo == nil {
		lo = &loser{why: why}
		sv.files[out] = lo
	}
	return lo
}

// has reports whether something is lost of a file.
func (sv *salvage) has(out *output) bool {
	if sv == nil {
		return false
	}
	sv.mu.Lock()
	defer sv.mu.Unlock()
	return sv.files[out] != nil
}

// wrongDigest notes that a file is not what it should be, though every part of it seemed to be.
func (sv *salvage) wrongDigest(out *output) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	sv.loser(out, layout.ErrDigest.Error()).whole = true
}

// lose notes that bytes of a file are lost. They count as arrived.
func (l *layer) lose(out *output, at, n int64, err error) {
	sv := l.salvage
	sv.mu.Lock()
	lo := sv.loser(out, err.Error())
	if last := len(lo.ranges) - 1; last >= 0 && lo.ranges[last][0]+lo.ranges[last][1] == at {
		lo.ranges[last][1] += n
	} else {
		lo.ranges = append(lo.ranges, [2]int64{at, n})
	}
	sv.mu.Unlock()
	if out.whole { // there is nothing of it
		l.opts.Meter.Add(n)
		return
	}
	l.arrived(out, at, n)
}

// salvageArchive is archive for what may be damaged: what cannot be read is noted as lost, frame by frame, and the rest is read.
func (l *layer) salvageArchive(ctx context.Context, w *writer, h manifest.Hash, jobs []job) error {
	for len(jobs) > 0 {
		ranges := make([]archive.Range, len(jobs))
		for i, j := range jobs {
			ranges[i] = j.Range
		}
		done := 0
		var failed error // to deliver
		err := l.snap.Read(ctx, h, ranges, func(i int, data []byte) error {
			done, failed = i+1, l.deliver(w, jobs[i], data)
			return failed
		})
		switch {
		case failed != nil:
			return failed
		case err == nil:
			return w.closeFile()
		case !l.salvage.takes(err):
			return err
		}
		if jobs, err = l.goAround(jobs[done:], err); err != nil {
			return err
		}
	}
	return w.closeFile()
}

// goAround takes the first of the jobs, which cannot be done, and returns what is still to be tried. Frames are lost as wholes, so what
// reaches over several is tried frame by frame, and what else lies in a frame that cannot be read is lost with it.
func (l *layer) goAround(jobs []job, why error) ([]job, error) {
	first := jobs[0]
	frame := func(off int64) int64 { return off / manifest.FrameSize }
	end := func(j job) int64 { return j.Off + max(j.Len, 1) - 1 }
	if frame(first.Off) != frame(end(first)) {
		return l.split(jobs)
	}
	left := jobs[:0:0]
	for _, j := range jobs {
		if frame(j.Off) == frame(first.Off) && frame(end(j)) == frame(first.Off) {
			l.lose(j.out, j.at, j.Len, why)
		} else {
			left = append(left, j)
		}
	}
	return left, nil
}

// split makes of the first job one for each frame.
func (l *layer) split(jobs []job) ([]job, error) {
	first := jobs[0]
	if first.out.whole {
		first.out.whole = false
		if err := l.create(first.out); err != nil {
			return nil, err
		}
	}
	left := jobs[1:len(jobs):len(jobs)]
	for off, stop := first.Off, first.Off+first.Len; off < stop; {
		next := min(stop, (off/manifest.FrameSize+1)*manifest.FrameSize)
		left = append(left, job{archive.Range{Off: off, Len: next - off}, first.out, first.at + off - first.Off})
		off = next
	}
	slices.SortStableFunc(left, func(a, b job) int { return cmp.Compare(a.Off, b.Off) })
	return left, nil
}

// notItself lays down a file that arrived as a whole and does not have its digest.
func (l *layer) notItself(w *writer, out *output, data []byte) error {
	l.salvage.wrongDigest(out)
	out.saved.Add(int64(len(data)))
	l.opts.Meter.Add(int64(len(data)))
	dir, base, err := w.enter(out.name)
	if err != nil {
		return err
	}
	return unwanted(out.file.Path, writeNew(dir, base, data))
}

// unlinked takes the failure of a hard link to a file that is lost.
func (sv *salvage) unlinked(f *manifest.File, err error) error {
	if sv == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	sv.add(Lost{Path: f.Path, Why: fmt.Sprintf("it is another name of %q, which is lost", f.Link)}, f)
	return nil
}

// lay gives the files of which something is lost other names, and removes those of which nothing is left.
func (sv *salvage) lay(ctx context.Context, l *layer) error {
	if sv == nil || len(sv.files) == 0 {
		return nil
	}
	taken := map[string]bool{}
	for f, err := range l.plan.lines(ctx) {
		if err != nil {
			return err
		}
		if strings.Contains(path.Base(f.Path), damagedSuffix) {
			taken[f.Path] = true
		}
	}
	outs := make([]*output, 0, len(sv.files))
	for out := range sv.files {
		outs = append(outs, out)
	}
	slices.SortFunc(outs, func(a, b *output) int { return manifest.ComparePaths(a.file.Path, b.file.Path) })
	for _, out := range outs {
		lost := sv.files[out].describe(out)
		if out.saved.Load() == 0 {
			if err := l.root.Remove(out.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		} else if err := l.putAside(out, &lost, taken); err != nil {
			return err
		}
		sv.add(lost, out.file)
	}
	return nil
}

// describe says what is lost of a file.
func (lo *loser) describe(out *output) Lost {
	f := out.file
	lost := Lost{Path: f.Path, Size: f.Size, Why: lo.why}
	slices.SortFunc(lo.ranges, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
	var all [][2]int64
	for _, r := range lo.ranges {
		lost.Bytes += r[1]
		if last := len(all) - 1; last >= 0 && all[last][0]+all[last][1] == r[0] {
			all[last][1] += r[1]
		} else {
			all = append(all, r)
		}
	}
	lost.Ranges = all[:min(len(all), maxLostRanges)]
	if f.SQLite == nil || f.SQLite.PageSize <= 0 {
		return lost
	}
	page := int64(f.SQLite.PageSize)
	for _, r := range lost.Ranges {
		lost.Pages = append(lost.Pages, [2]int64{r[0]/page + 1, (r[0]+r[1]-1)/page + 1})
	}
	return lost
}

// putAside gives a file a name that says what it is.
func (l *layer) putAside(out *output, lost *Lost, taken map[string]bool) error {
	lost.As = out.file.Path + damagedSuffix
	for i := 2; taken[lost.As]; i++ {
		lost.As = fmt.Sprintf("%s%s-%d", out.file.Path, damagedSuffix, i)
	}
	taken[lost.As] = true
	name, err := local(lost.As)
	if err != nil {
		return err
	}
	err = durable.Rename(filepath.Join(l.dir, out.name), filepath.Join(l.dir, name))
	if isBadName(err) { // it has become too long
		lost.As = ""
		return l.root.Remove(out.name)
	}
	if err != nil {
		return err
	}
	f := *out.file
	f.Path = lost.As
	return l.done(&f, name)
}

// add lists what is lost.
func (sv *salvage) add(lost Lost, f *manifest.File) {
	sv.count++
	sv.lines[manifest.SourceOf(f.Path)]++
	sv.bytes[manifest.SourceOf(f.Path)] += f.Size
	if len(sv.lost) < maxLost {
		sv.lost = append(sv.lost, lost)
	}
}

// report puts into the result what is lost; what it counts is what is whole.
func (sv *salvage) report(res *Result, p *plan) {
	if sv == nil {
		return
	}
	slices.SortFunc(sv.lost, func(a, b Lost) int { return manifest.ComparePaths(a.Path, b.Path) })
	r := &Salvaged{Whole: sv.count == 0 && len(sv.gaps) == 0, Lost: sv.lost, LostCount: sv.count, Unknown: sv.gaps}
	if r.Lost == nil {
		r.Lost = []Lost{}
	}
	for _, src := range p.sources {
		src.Files -= sv.lines[src.Name]
		src.Bytes -= sv.bytes[src.Name]
		res.Files -= sv.lines[src.Name]
		res.Bytes -= sv.bytes[src.Name]
	}
	res.Salvaged = r
}
