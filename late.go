package main

import (
	"context"
	"time"

	"lifeboat/internal/config"
)

// atStart is how long a remote that does not answer holds up what comes first: the capture, and the other remotes.
const atStart = 3 * time.Second

// postpone notes a remote that does not answer now.
func (s *session) postpone(w *writable, r config.Remote, err error) {
	s.warn("going on without %s for now: %s", r.Name, explain(err))
	w.late = append(w.late, r)
}

// tryLate tries the remotes again that did not answer at the start, now for as long as their settings say, and all at once: if it was this
// machine's network, it was one outage for all of them. Those that answer become remotes of w and are returned.
func (s *session) tryLate(ctx context.Context, w *writable) []*place {
	late := w.late
	w.late = nil
	var there []*place
	for _, l := range s.lookAt(ctx, w, w.local.Path(), late) {
		p, err := l.place, l.err
		if err == nil {
			p, err = s.claim(ctx, w, l.candidate)
		}
		if err != nil {
			w.failed = append(w.failed, err)
			continue
		}
		there = append(there, p)
	}
	w.remotes = append(w.remotes, there...)
	return there
}
