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

// retry says how long to go on with a request that fails for a passing reason.
//
// minio-go would do this, but it repeats nearly everything, so that a mistyped host or a server that
// is not there takes it five seconds to report, and gives up after ten attempts within ten seconds or
// so, which does not outlast the restart of a server.
type retry struct {
	budget time.Duration // of waiting, in all
}

const (
	defaultRetryFor = 30 * time.Second
	firstWait       = 250 * time.Millisecond
	longestWait     = 8 * time.Second

	// A server that never answered is more likely mistyped than down. Then a failure to connect is
	// final, and any other is after so many attempts.
	maxUnanswered = 3
)

func newRetry(budget time.Duration) retry {
	if budget == 0 {
		budget = defaultRetryFor
	}
	return retry{budget}
}

// try calls op until it succeeds, fails for a reason that stays, or the waiting exceeds the budget.
// The waits double, and are shortened at random by up to a half, so that many clients do not come
// back at the same time.
func (s *s3Store) try(ctx context.Context, op func() error) error {
	wait, waited := firstWait, time.Duration(0)
	for attempt := 1; ; attempt++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := op()
		if err == nil || ctx.Err() != nil || !s.passing(err) {
			return err
		}
		pause := wait/2 + rand.N(wait/2)
		if waited += pause; waited > s.retry.budget || attempt >= maxUnanswered && !s.wire.answered() {
			if attempt > 1 {
				err = &exhausted{attempt, err}
			}
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		wait = min(2*wait, longestWait)
	}
}

// exhausted is the last error of a request that was tried several times.
type exhausted struct {
	attempts int
	error
}

func (e *exhausted) Unwrap() error { return e.error }

// passing reports whether an error may go away when the request is repeated.
func (s *s3Store) passing(err error) bool {
	if _, ok := errors.AsType[minio.ErrorResponse](err); ok {
		return passingStatus(err)
	}
	if stays(err) {
		return false
	}
	// One that did answer may be restarting.
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return !dns.IsNotFound || s.wire.answered()
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "dial" || op.Op == "proxyconnect") {
		return s.wire.answered()
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
