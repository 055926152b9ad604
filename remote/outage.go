package remote

import (
	"sync"
	"time"
)

// An Outage is what Config.Outage is told of a server that does not answer.
type Outage struct {
	Cause string        // one line; "" when the server answers again
	Lasts time.Duration // since it was first noticed
	Left  time.Duration // for how long it is tried again
}

// Over reports that the server answers again.
func (o Outage) Over() bool { return o.Cause == "" }

const (
	tellAfter = 3 * time.Second // a shorter hiccup is nobody's business
	tellEvery = time.Minute

	// quietFor is how long a server that was given up is left alone, so that each of many requests that follow does not find out anew, by
	// a time limit of its own, that it is still away.
	quietFor = 30 * time.Second
)

// An outage is the time in which a server does not answer, from its first failure on. It is the same for all requests
// of a store: however many there are, and come, together they wait no longer than one.
type outage struct {
	budget time.Duration
	tell   func(Outage) // may be nil

	mu      sync.Mutex
	since   time.Time // zero: the server answers, as far as is known
	last    time.Time // failure
	err     error     // of it
	told    time.Time // zero: never during this outage
	answers int64     // how many requests were answered
}

func newOutage(budget time.Duration, tell func(Outage)) *outage {
	if budget == 0 {
		budget = DefaultRetryFor
	}
	return &outage{budget: max(0, budget), tell: tell}
}

// refuse returns the error of a server that was waited for long enough and was away a moment ago.
func (o *outage) refuse(patience time.Duration) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if o.since.IsZero() || now.Sub(o.since) < patience || now.Sub(o.last) >= min(quietFor, patience) {
		return nil
	}
	return &exhausted{1, now.Sub(o.since), o.err}
}

// failed notes that a request failed, and returns for how long that has been so and how many others were answered so far.
func (o *outage) failed(now time.Time, err error) (lasts time.Duration, answers int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		o.since = now
	}
	o.last, o.err = now, err
	return now.Sub(o.since), o.answers
}

// over notes that a request was answered.
func (o *outage) over() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answers++
	if !o.told.IsZero() {
		o.tell(Outage{Lasts: time.Since(o.since)})
	}
	o.since, o.told, o.err = time.Time{}, time.Time{}, nil
}

// announce tells of the outage, if it is time to. took is how long the failed attempt has taken.
func (o *outage) announce(now time.Time, took, left time.Duration, cause func() string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.tell == nil || o.since.IsZero():
	case o.told.IsZero() && took < tellAfter && now.Sub(o.since) < tellAfter:
	case !o.told.IsZero() && now.Sub(o.told) < tellEvery:
	default:
		o.told = now
		o.tell(Outage{cause(), now.Sub(o.since), left})
	}
}
