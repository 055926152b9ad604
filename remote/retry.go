package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

// minio-go would repeat requests too, but it repeats nearly everything, so that a mistyped host or a server that is not there
// takes it five seconds to report, and gives up after ten attempts within ten seconds or so, which does not outlast the restart of a
// server. So it makes one attempt only, and all else is here.

const (
	// DefaultRetryFor is how long a server that has answered before is waited for. It outlives an outage of ten minutes.
	DefaultRetryFor = 15 * time.Minute

	firstWait   = 250 * time.Millisecond
	longestWait = 8 * time.Second

	// aloneFor bounds the waiting of a request that goes on failing while the server answers others: the outage is over then, and
	// something is wrong with this one.
	aloneFor = 2 * time.Minute

	// A server that never answered is more likely mistyped than down. Then a failure to connect is
	// final, and any other is after so many attempts. So is an answer that cannot be read.
	maxUnanswered = 3
)

// WithPatience returns a context in which a store whose server is down is waited for no longer than d, if that is less than the
// store's own RetryFor. It is for who can go elsewhere.
func WithPatience(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, patienceKey{}, min(d, patience(ctx, d)))
}

type patienceKey struct{}

// patience returns how long to wait for a server in ctx, where most is what the store says.
func patience(ctx context.Context, most time.Duration) time.Duration {
	if d, ok := ctx.Value(patienceKey{}).(time.Duration); ok {
		return min(d, most)
	}
	return most
}

// WithCheck returns a context in which a store calls check before every attempt of a request, also of one that it repeats by itself, and gives
// up with the error of check. It is for requests that do harm when they are made too late. check must not wait.
func WithCheck(ctx context.Context, check func() error) context.Context {
	return context.WithValue(ctx, checkedKey{}, check)
}

type checkedKey struct{}

// Checked returns the error of the check that ctx asks for. It is for what repeats requests itself.
func Checked(ctx context.Context) error {
	if check, ok := ctx.Value(checkedKey{}).(func() error); ok {
		if err := check(); err != nil {
			return &checkError{err}
		}
	}
	return nil
}

// A checkError is the caller's own.
type checkError struct{ error }

func (e *checkError) Unwrap() error { return e.error }

// try calls op until it succeeds, fails for a reason that stays, or the server has been away for too long.
func (s *s3Store) try(ctx context.Context, op func() error) error {
	if err := s.outage.refuse(patience(ctx, s.outage.budget)); err != nil && ctx.Err() == nil {
		return err
	}
	for a := s.attempt(); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := Checked(ctx); err != nil {
			return err
		}
		err := op()
		if err == nil {
			s.outage.over()
			return nil
		}
		if err := a.again(ctx, err); err != nil {
			return err
		}
	}
}

// An attempt is the first of a request, and then the next one.
type attempt struct {
	s       *s3Store
	n       int
	began   time.Time     // this one
	wait    time.Duration // before the next
	answers int64         // that the server had given when this request failed last
	alone   time.Time     // since when this request fails while the server answers others; zero: it does not
}

func (s *s3Store) attempt() *attempt {
	return &attempt{s: s, n: 1, began: time.Now(), wait: firstWait}
}

// again waits for the next attempt after one that failed with err. It returns what is to be reported when there is to be none.
//
// The waits double, and are shortened at random by up to a half, so that many clients do not come back at the same time.
func (a *attempt) again(ctx context.Context, err error) error {
	o := a.s.outage
	if ctx.Err() != nil || !a.s.passing(err) {
		if _, ok := errors.AsType[minio.ErrorResponse](err); ok {
			o.over() // a refusal is an answer
		}
		return err
	}
	now := time.Now()
	wait := patience(ctx, o.budget)
	lasts, answers := o.failed(now, err)
	left := wait - lasts
	switch {
	case a.n == 1 || answers == a.answers:
		a.alone = time.Time{}
	case a.alone.IsZero():
		a.alone = now
	}
	a.answers = answers
	tries := left // for how long there will be another attempt
	if !a.alone.IsZero() {
		tries = min(left, min(wait, aloneFor)-now.Sub(a.alone))
	}
	_, garbled := errors.AsType[*garbledError](err)
	if tries <= 0 || a.n >= maxUnanswered && (garbled || !a.s.met()) {
		return &exhausted{a.n, lasts, err}
	}
	if a.s.met() {
		o.announce(now, now.Sub(a.began), tries, func() string { return a.s.outageCause(err) })
	}
	pause := min(a.wait/2+rand.N(a.wait/2), left) // not tries: in a pause that is cut short, the server may answer nobody, which would look like an outage
	select {
	case <-time.After(pause):
	case <-ctx.Done():
		return ctx.Err()
	}
	a.n++
	a.began = time.Now()
	a.wait = min(2*a.wait, longestWait)
	return nil
}

// exhausted is the last error of a request that was tried in vain.
type exhausted struct {
	attempts int
	lasts    time.Duration // since the server last answered
	error
}

func (e *exhausted) Unwrap() error { return e.error }

// met reports whether there is such a server, as far as is known: it has answered, now or to an earlier run.
func (s *s3Store) met() bool {
	return s.wire.answered() || s.known()
}

// A garbledError is an answer that was damaged on the way, maybe, or that the server always gives.
type garbledError struct{ error }

func (e *garbledError) Unwrap() error { return e.error }

// passing reports whether an error may go away when the request is repeated.
func (s *s3Store) passing(err error) bool {
	if _, ok := errors.AsType[minio.ErrorResponse](err); ok {
		return passingStatus(err)
	}
	if _, ok := errors.AsType[*garbledError](err); ok {
		return true
	}
	if stays(err) {
		return false
	}
	// One that did answer may be restarting.
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return !dns.IsNotFound || s.met()
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "dial" || op.Op == "proxyconnect") {
		return s.met()
	}
	return true
}

// stays reports errors that are not the network's.
func stays(err error) bool {
	if _, ok := errors.AsType[*sourceError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*credentialsError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*rangeError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*checkError](err); ok {
		return true
	}
	for _, e := range []error{errNotS3, errChanged, ErrMismatch, ErrUnavailable, fs.ErrExist, fs.ErrNotExist, fs.ErrInvalid, fs.ErrClosed} {
		if errors.Is(err, e) {
			return true
		}
	}
	return isTLS(err)
}

// isTLS reports that the two sides did not agree on an encrypted connection.
func isTLS(err error) bool {
	_, cert := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	op, ok := errors.AsType[*net.OpError](err)
	alert := ok && (op.Op == "remote error" || op.Op == "local error") // as crypto/tls calls an alert
	return cert || record || alert || isPlainHTTP(err)
}

// isPlainHTTP reports an http server at an https endpoint. Package net/http has no value for it.
func isPlainHTTP(err error) bool {
	return strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}
