package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"lifeboat/internal/layout"
	"lifeboat/localstore"
)

// claim makes sure that a remote is a store of this application, the one it was last time, and that no other machine
// writes to it.
func (s *session) claim(ctx context.Context, p *place, local *localstore.Store, app, known string) error {
	if known != "" && !s.c.Bool("init") {
		m, err := p.Marker(ctx)
		if p.gone() || errors.Is(err, fs.ErrNotExist) || err == nil && m.ID != known {
			return noStore("is it mounted, and is the prefix right? If it was made anew on purpose, give --init",
				"%s is not the store that it was at the last backup", p.url)
		}
	}
	made, err := localstore.EnsureMarker(ctx, p.Store, app, kit())
	if err != nil {
		return err
	}
	if made {
		s.note("made a new store for %s at %s", app, p.url)
	} else if known == "" && !s.c.Bool("takeover") {
		if err := s.foreignHost(ctx, p); err != nil {
			return err
		}
	}
	m, err := p.Marker(ctx)
	if err != nil {
		return err
	}
	return local.Remember(p.url, m.ID)
}

// foreignHost refuses a remote that this machine has not used yet and that another one has written to. Names of hosts are compared, not
// proven: two machines that write to one store by mistake is what this is against.
func (s *session) foreignHost(ctx context.Context, p *place) error {
	c, err := layout.List(ctx, p.Store)
	if err != nil || len(c.IDs) == 0 {
		return err
	}
	last := c.IDs[len(c.IDs)-1]
	head, err := c.Head(ctx, last)
	if err != nil {
		return err
	}
	if here := thisHost().Name; head.Host.Name != here {
		return refuse(fmt.Sprintf("if %s has taken its place, give --takeover; else give this machine another prefix", here),
			"%s was last written to by another machine, %s, %s ago", p.url, oneLine(head.Host.Name), age(s.ageOf(last.Stamp)))
	}
	return nil
}

// clock returns the latest of the times that this machine and the stores go by. A fresh machine may have no idea of the time, and
// must not take last night's snapshot to be from the future.
func (s *session) clock(ctx context.Context, stores []layout.Store) time.Time {
	now := s.now()
	for _, p := range stores {
		if t, err := p.Now(ctx); err == nil && t.After(now) {
			now = t
		}
	}
	return now
}
