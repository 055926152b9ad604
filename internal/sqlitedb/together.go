package sqlitedb

import (
	"context"
	"errors"
	"time"
)

// mostTries is how often PinTogether tries before it settles for less. Against a writer that never rests,
// three tries are the usual.
const mostTries = 50

// PinTogether pins several databases and proves, if it can, that they are pinned at one instant: that there was
// a moment at which every one of these states was the newest of its database. together says whether it could.
// It locks nobody out to get there; databases that are committed to without a pause may defeat it.
//
// The pins are in the order of paths, and each must be closed. On failure none is left. Pins that keep writers from committing should be
// detached, each in turn. They are still those of one instant unless one of them was moved: see Pinned.Moved.
func PinTogether(ctx context.Context, paths []string, opt Options) (pins []*Pinned, together bool, err error) {
	opt.watch = true
	pins = make([]*Pinned, len(paths))
	defer func() {
		if err != nil {
			for _, p := range pins {
				if p != nil {
					p.Close()
				}
			}
			pins = nil
		}
	}()
	for i, path := range paths {
		if pins[i], err = Pin(ctx, path, opt); err != nil {
			return pins, false, err
		}
	}
	for range mostTries {
		// All are pinned before the first is asked. Between these two lies the instant.
		if together, err = allCurrent(ctx, pins); together || err != nil {
			return pins, together, err
		}
		for i, path := range paths {
			if pins[i].renew(ctx) == nil {
				continue
			}
			pins[i].Close()
			if pins[i], err = Pin(ctx, path, opt); err != nil {
				return pins, false, err
			}
		}
	}
	return pins, false, nil
}

func allCurrent(ctx context.Context, pins []*Pinned) (bool, error) {
	for _, p := range pins {
		if current, err := p.current(ctx); !current || err != nil {
			return false, err
		}
	}
	return true, nil
}

// A probe is a second connection, which sees what is committed after the pin.
type probe struct {
	conn   *conn
	before int64
}

// openProbe must come before the pin, or else what is committed in between would go unnoticed.
func openProbe(ctx context.Context, path string, opt Options) (*probe, error) {
	c, err := open(ctx, path, "mode=ro"+opt.busy())
	if err != nil {
		return nil, err
	}
	p := &probe{conn: c}
	if p.before, err = p.version(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return p, nil
}

// version changes when another connection commits: https://www.sqlite.org/pragma.html#pragma_data_version.
func (p *probe) version(ctx context.Context) (n int64, err error) {
	err = p.conn.QueryRowContext(ctx, "PRAGMA main.data_version").Scan(&n)
	return n, err
}

// current reports whether nothing was committed since the pin.
func (p *Pinned) current(ctx context.Context) (bool, error) {
	err := p.verify()
	switch {
	case p.staged != "":
		err = p.origin.check()
	case p.conn == nil:
		err = guard{p.source.path: p.source.before}.check()
	case p.probe != nil:
		now, err := p.probe.version(ctx)
		return now == p.probe.before, err
	}
	if errors.Is(err, ErrChanged) {
		return false, nil
	}
	return err == nil, err
}

// renew moves the pin of a live database to the present. It fails for any other, which must be pinned anew.
func (p *Pinned) renew(ctx context.Context) (err error) {
	if p.probe == nil {
		return errAgain
	}
	if err := p.conn.exec(ctx, "ROLLBACK"); err != nil {
		return err
	}
	wal, err := stampOf(p.source.path + "-wal")
	if err != nil {
		return err
	}
	p.wal, p.heldFrom = wal.size, time.Now()
	if p.probe.before, err = p.probe.version(ctx); err != nil {
		return err
	}
	return p.read(ctx, p.conn)
}
