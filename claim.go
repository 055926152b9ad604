package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"lifeboat/internal/config"
	"lifeboat/internal/diskspace"
	"lifeboat/internal/layout"
	"lifeboat/localstore"
	"lifeboat/remote"
)

// A candidate is a remote that may be written to, for all that can be seen without writing.
type candidate struct {
	*place
	from   config.Remote
	marker layout.Marker // its ID is "" where there is no store yet
	known  bool          // this machine has used it before
}

// consider looks at remotes. One that is gone, or another than it was when it was used before, has failed, and one that cannot be
// reached is tried again later; the others serve. One that belongs to somebody else is an error: nothing has been written anywhere by then.
func (s *session) consider(ctx context.Context, w *writable, dir string, remotes []config.Remote) (list []candidate, err error) {
	for i, l := range s.lookAt(ctx, w, dir, remotes) {
		r, err := remotes[i], l.err
		switch {
		case err == nil:
			list = append(list, l.candidate)
		case unanswered(ctx, err):
			s.postpone(w, r, err)
		case notThere(ctx, err):
			w.failed = append(w.failed, err)
		default:
			return nil, err
		}
	}
	return list, nil
}

// A looked is what came of a look at a remote.
type looked struct {
	candidate
	err error
}

// lookAt looks at remotes, all at once, and returns what came of each.
func (s *session) lookAt(ctx context.Context, w *writable, dir string, remotes []config.Remote) []looked {
	list := make([]looked, len(remotes))
	var wg sync.WaitGroup
	for i, r := range remotes {
		wg.Go(func() { list[i].candidate, list[i].err = s.look(ctx, w, dir, r) })
	}
	wg.Wait()
	return list
}

// unanswered reports whether an error may be a passing one, of the network or the server.
func unanswered(ctx context.Context, err error) bool {
	return ctx.Err() == nil && errors.Is(err, remote.ErrUnavailable)
}

// notThere reports whether an error is that of one remote, which is no reason to leave the others out: it is not reached, or full, or
// damaged.
func notThere(ctx context.Context, err error) bool {
	return ctx.Err() == nil && (errors.Is(err, remote.ErrUnavailable) || isNoStore(err) || diskspace.Full(err) || diskspace.ReadOnly(err) || damaged(err))
}

func (s *session) look(ctx context.Context, w *writable, dir string, r config.Remote) (candidate, error) {
	p, err := s.openRemote(ctx, r, false, w, w.local)
	if err != nil {
		return candidate{}, err
	}
	if sameDirectory(p.dir, dir) {
		return candidate{}, refuse("give --store DIR or --remote URL another place", "the remote %s is the local store itself", r.Name)
	}
	c, err := s.admit(ctx, w.local, w.app, p, r)
	if err == nil && c.marker.ID != "" && !c.known && !s.c.Bool("takeover") {
		err = s.foreignHost(ctx, p)
	}
	return c, err
}

// admit refuses a remote that is another than it was when it was used before, or of another application. local is nil if there is none.
func (s *session) admit(ctx context.Context, local *localstore.Store, app string, p *place, r config.Remote) (candidate, error) {
	known := ""
	if local != nil {
		var err error
		if known, err = local.Known(p.url); err != nil {
			return candidate{}, err
		}
	}
	m, glance, err := p.Enter(ctx, known != "")
	p.glance = glance
	if isFile(p.dir) {
		return candidate{}, noDirectory(p)
	}
	absent := p.gone() || errors.Is(err, fs.ErrNotExist)
	switch {
	case known != "" && !s.c.Bool("init") && (absent || err == nil && m.ID != known):
		return candidate{}, noStore("is it mounted, and is the prefix right? If it was made anew on purpose, give --init",
			"%s is not the store that it was at the last backup", p.url)
	case absent:
		return candidate{p, r, layout.Marker{}, false}, nil
	case err != nil:
		return candidate{}, err
	case m.App != app:
		return candidate{}, &localstore.ForeignError{Store: p.url, App: m.App, Own: app}
	}
	return candidate{p, r, m, known != ""}, nil
}

// claim makes a remote a store of the application unless it is one, and remembers it.
func (s *session) claim(ctx context.Context, w *writable, c candidate) (*place, error) {
	p, id, err := s.establish(ctx, w, w.local, w.app, c)
	if err != nil {
		return nil, err
	}
	return p, w.local.Remember(p.url, id)
}

// establish makes a candidate a store of the application unless it is one, and returns the ID in its marker. w and local are as for openRemote.
func (s *session) establish(ctx context.Context, w *writable, local *localstore.Store, app string, c candidate) (p *place, id string, err error) {
	if c.marker.ID != "" {
		return c.place, c.marker.ID, nil
	}
	if c.dir != "" {
		if err := roomForStore(c.dir); err != nil {
			return nil, "", err
		}
	}
	if p, err = s.openRemote(ctx, c.from, true, w, local); err != nil {
		return nil, "", err
	}
	m, made, err := localstore.MakeMarker(ctx, p.Store, app, kit())
	if err != nil {
		return nil, "", err
	}
	if made {
		s.note("made a new store for %s at %s", app, p.url)
		p.glance = c.glance
	}
	return p, m.ID, nil
}

// foreignHost refuses a remote that this machine has not used yet and that another one has written to. Names of hosts are compared, not
// proven: two machines that write to one store by mistake is what this is against.
func (s *session) foreignHost(ctx context.Context, p *place) error {
	c, err := layout.ListBeyond(ctx, glances(p), p.Store)
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

// sameDirectory reports whether two paths are one directory. If it were both the local store and a remote, each snapshot in it would count
// as being elsewhere too, and be dropped.
func sameDirectory(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}
