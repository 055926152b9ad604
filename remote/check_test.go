package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"testing"

	"lifeboat/remote"
)

// A request that must not be made late is not made again by itself either.
func TestWithCheck(t *testing.T) {
	f := newFake(t, false)
	late := errors.New("too late")
	for _, allowed := range []int{0, 1, 2} {
		asked, came := 0, 0
		f.intercept = func(_ int, w http.ResponseWriter, r *http.Request) bool {
			came++
			answer(w, http.StatusServiceUnavailable, "SlowDown", "slow down")
			return true
		}
		ctx := remote.WithCheck(t.Context(), func() error {
			if asked++; asked > allowed {
				return late
			}
			return nil
		})
		for name, request := range map[string]func(context.Context, remote.Store) error{
			"put": func(ctx context.Context, s remote.Store) error {
				return s.Put(ctx, "a", body([]byte("x")), remote.PutOptions{})
			},
			"delete": func(ctx context.Context, s remote.Store) error { return s.Delete(ctx, "a") },
		} {
			asked, came = 0, 0
			s := f.open(t, nil)
			if err := request(ctx, s); !errors.Is(err, late) || errors.Is(err, remote.ErrUnavailable) || came != allowed {
				t.Errorf("%s, %d attempts allowed: %d made, %v", name, allowed, came, err)
			}
		}
	}
	f.intercept = nil
	if err := f.open(t, nil).Delete(remote.WithCheck(t.Context(), func() error { return nil }), "a"); err != nil {
		t.Error(err)
	}
}

// A refusal is an answer that stays; an outage, or a server that is not well, is none.
func TestIsRefusal(t *testing.T) {
	f := newFake(t, false)
	s := f.open(t, nil)
	for code, want := range map[string]bool{"AccessDenied": true, "InternalError": false} {
		status := map[bool]int{true: http.StatusForbidden, false: http.StatusInternalServerError}[want]
		f.intercept = func(_ int, w http.ResponseWriter, r *http.Request) bool {
			answer(w, status, code, "no")
			return true
		}
		err := s.Delete(remote.WithPatience(t.Context(), 0), "a")
		if !errors.Is(err, remote.ErrUnavailable) || remote.IsRefusal(err) != want {
			t.Errorf("%s: a refusal: %v (%v)", code, remote.IsRefusal(err), err)
		}
	}
	for err, want := range map[error]bool{
		fmt.Errorf("delete: %w: %w", remote.ErrUnavailable, fs.ErrPermission): true,
		fmt.Errorf("delete: %w", remote.ErrUnavailable):                       false,
		fs.ErrPermission: false, // of a file on this side
		nil:              false,
	} {
		if remote.IsRefusal(err) != want {
			t.Errorf("%v: a refusal: %v", err, !want)
		}
	}
}
