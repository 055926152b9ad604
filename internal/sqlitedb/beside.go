package sqlitedb

import "context"

// besideTries is how often a moment is looked for in which nothing was committed between one look at a database and the next. Against a writer
// that never rests, three are the usual.
const besideTries = 20

// Beside reports whether QuickCheck and ReadFacts have a connection of their own, so that they may run while Stream does. What they see through it is
// exactly the state that is pinned. They have one
//
//   - to a database in WAL mode, if it was begun between the pin and a moment at which nothing had been committed yet: see current. That is done at
//     the pin, and where others write all the time it takes a few of them; who comes later finds that the database went on;
//   - to one in a rollback mode, if it can be had without waiting, for nobody can commit meanwhile;
//   - to a copy, for nobody else knows it;
//   - to a database that nobody has open, and to a copy that Detach made, for these Stream reads without a connection. That the former stayed as it
//     was is verified after whatever is read.
//
// Where there is none, or the database is smaller than Options.Beside, what would run beside Stream must run after it.
func (p *Pinned) Beside(ctx context.Context) bool {
	switch {
	case !p.wantsSecond() || p.damage != nil:
		return false
	case p.image != nil:
		return true
	case p.second == nil && (!p.Live() || p.BlocksCommits()):
		p.follow(ctx)
		p.paired = p.second != nil
	}
	if p.paired { // a stream sees each page once, and is quicker when it has few to throw away
		_ = p.conn.exec(ctx, "PRAGMA main.cache_size=16")
	}
	return p.paired
}

func (p *Pinned) wantsSecond() bool {
	return p.conn != nil && p.opt.Beside > 0 && p.Size() >= p.opt.Beside
}

// pair gives a live database in WAL mode a second transaction on the state of the first. When a commit came in between, both are renewed; in the end
// there may be none. With Options.watch nothing is renewed: that is for whoever watches, who asks current and renews as often as it takes.
func (p *Pinned) pair(ctx context.Context) error {
	p.follow(ctx)
	for try := 1; !p.opt.watch; try++ {
		if current, err := p.current(ctx); current || err != nil {
			return err
		}
		if try == besideTries {
			p.leave()
			return nil
		}
		if err := p.renew(ctx); err != nil {
			return err
		}
	}
	return nil
}

// follow begins the second transaction after the first. Whether it is on the same state is still to be shown. If it can't be had at once,
// or is seen to be on another, there is none.
func (p *Pinned) follow(ctx context.Context) {
	if p.second == nil {
		var err error
		if p.second, err = open(ctx, p.opened, p.uri+"&_busy_timeout=0"); err != nil {
			return
		}
	}
	if p.second.exec(ctx, "BEGIN") == nil {
		if header, pages, err := firstPage(ctx, p.second); err == nil && header == p.header && pages == p.pages {
			return
		}
	}
	p.leave()
}

// leave closes the second connection, which has read and nothing else.
func (p *Pinned) leave() {
	if p.second != nil {
		p.second.Close()
	}
	p.second, p.paired = nil, false
}

// checks returns the connection for what may run beside Stream.
func (p *Pinned) checks() *conn {
	if p.paired {
		return p.second
	}
	return p.conn
}
