// Package drill proves that a snapshot comes back: it brings it back from one place, into scratch space, looks at everything that can be
// looked at, and says what came of it in a record that is kept as evidence.
//
// What the capture recorded is compared with what came back: the SHA-256 of every file, and of every database its size, versions, schema, tables
// and their rows. SQLite's integrity check and its check of foreign keys go over every database, which is then opened as its application will
// open it. Then come the assertions of the operator. A drill for which there is nothing to look at fails: it would prove nothing.
package drill

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"lifeboat/internal/config"
	"lifeboat/internal/layout"
	"lifeboat/internal/progress"
	"lifeboat/manifest"
	"lifeboat/restore"
)

// Options of a drill.
type Options struct {
	Mode        Mode   // default Restored
	Scratch     string // a directory that this drill has for itself; its caller removes it. Streamed needs none
	Assert      []config.Assertion
	Environ     []string // of programs that assertions run
	Concurrency int      // archives that are fetched at once; 0 means 4
	Workers     int      // frames that are decoded, or databases checked, at once; 0 means 1
	Tool        string
	Host        manifest.Host
	Now         func() time.Time
	Meter       *progress.Meter
}

// ErrRemoved means that a snapshot was removed from its place while it was drilled.
var ErrRemoved = errors.New("it was removed while it was drilled")

// Run drills the snapshot in one place. That it does not come back is in the record; an error means that this could not be found out. The record
// has no stamp yet, and names none before it: see Keep.
func Run(ctx context.Context, id manifest.ID, place layout.Store, opts Options) (*Record, error) {
	d := &drill{ctx: ctx, id: id, from: &counted{Store: place.Store}, opts: opts, lap: time.Now(),
		r: &Record{Snapshot: id, Result: OK, Mode: Restored, Tool: opts.Tool, Host: opts.Host, Began: opts.Now().UTC().Truncate(time.Second)}}
	if opts.Mode == Streamed {
		d.r.Mode = Streamed
	}
	err := d.run()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil && !layout.AboutData(err):
		return nil, err
	case err != nil:
		d.fail("damaged", "", "%v", err)
	}
	if d.r.Result == Failed {
		if _, gone := place.Stat(ctx, layout.ManifestKey(id)); errors.Is(gone, fs.ErrNotExist) {
			return nil, fmt.Errorf("snapshot %s: %w", id.Stamp, ErrRemoved)
		}
	}
	c := &d.r.Checks
	if d.r.FailureCount == 0 && c.Files == 0 && c.Databases == 0 && c.Assertions == 0 {
		d.fail("nothing_checked", "", "there are no files in the snapshot, and no assertions: this drill has proved nothing")
	}
	d.r.Fetched, d.r.Finished = d.from.bytes.Load(), opts.Now().UTC().Truncate(time.Second)
	return d.r, nil
}

type drill struct {
	ctx  context.Context
	id   manifest.ID
	from *counted
	opts Options
	r    *Record
	snap *layout.Snapshot
	lap  time.Time // when the phase began
}

func (d *drill) run() (err error) {
	place := layout.Store{Store: d.from}
	if d.snap, err = layout.OpenSnapshot(d.ctx, d.id, max(1, d.opts.Workers), place); err != nil {
		return err
	}
	d.r.App = d.snap.Head.App
	if m, err := place.Marker(d.ctx); err == nil {
		d.r.Store = m.ID
	}
	if d.r.Mode == Streamed {
		return d.stream()
	}
	return d.restore()
}

// phase ends a phase that took as long as is said.
func (d *drill) phase(name string, took time.Duration, bytes int64) {
	d.r.Phases = append(d.r.Phases, Phase{name, max(0, took.Milliseconds()), bytes})
}

// sinceLap returns how long it is since the last call.
func (d *drill) sinceLap() time.Duration {
	now := time.Now()
	took := now.Sub(d.lap)
	d.lap = now
	return took
}

// fail notes something that did not pass.
func (d *drill) fail(kind, where, format string, args ...any) {
	d.r.Result = Failed
	d.r.FailureCount++
	d.r.Failures = appendFinding(d.r.Failures, kind, where, fmt.Sprintf(format, args...))
}

// skip notes something that was not looked at.
func (d *drill) skip(kind, where, why string) {
	d.r.NotChecked = appendFinding(d.r.NotChecked, kind, where, why)
}

func appendFinding(list []Finding, kind, where, detail string) []Finding {
	if len(list) == maxFindings {
		return list
	}
	return append(list, Finding{kind, cut(where), cut(detail)})
}

// cut bounds a text that goes into a record.
func cut(text string) string {
	if len(text) > maxDetail {
		text = text[:maxDetail] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// restore lays the snapshot down and looks at it.
func (d *drill) restore() error {
	tree := filepath.Join(d.opts.Scratch, "restored")
	open := d.sinceLap()
	res, err := restore.Run(d.ctx, d.snap, restore.Options{Target: tree, Owner: restore.OwnerCurrent, Concurrency: d.opts.Concurrency, Checkers: max(1, d.opts.Workers), Meter: d.opts.Meter})
	if err != nil {
		return err
	}
	d.r.Files, d.r.Bytes = res.Contents, res.Bytes
	d.r.Checks.Files = res.Contents
	d.phase("open", open+res.Times.Plan, 0)
	d.phase("fetch", res.Times.Fetch, d.from.bytes.Load())
	d.phase("check", res.Times.Check, 0)
	d.phase("finish", res.Times.Finish, res.Bytes)
	d.sinceLap()
	d.opts.Meter.Begin("compare", 0)
	bytes := int64(0)
	for _, db := range res.Databases {
		bytes += db.Size
		if err := d.database(tree, db); err != nil {
			return err
		}
	}
	if len(res.Databases) > 0 {
		d.phase("compare", d.sinceLap(), bytes)
	}
	return d.assert(&laidDown{tree})
}
