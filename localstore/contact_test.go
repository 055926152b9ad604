package localstore_test

import (
	"testing"
	"time"

	"lifeboat/internal/snaptest"
	"lifeboat/localstore"
	"lifeboat/remote"
)

// How it went with a remote: since when it is away is the first time of several, a delivery ends that, and another store at the same place begins anew.
func TestContact(t *testing.T) {
	s := snaptest.Local(t)
	day := func(n int) time.Time { return time.Date(2026, 11, n, 3, 0, 0, 0, time.UTC) }
	is := func(when string, want localstore.Contact) {
		t.Helper()
		if got, err := s.Contact("url"); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", when, got, err, want)
		}
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	is("at first", localstore.Contact{})
	check(s.Remember("url", "one"))
	check(s.Delivered("url", "20261101T030000Z", day(1)))
	reached := localstore.Contact{Reached: day(1), Complete: "20261101T030000Z"}
	is("delivered", reached)
	check(s.Missed("url", day(2)))
	check(s.Missed("url", day(3)))
	check(s.Missed("other", day(4)))
	check(s.RememberRefusals("url", remote.Refusals{Checksum: true}, day(3)))
	check(s.Remember("url", "one"))
	away := reached
	away.Away = day(2)
	is("away", away)
	check(s.Delivered("url", "20261104T030000Z", day(4)))
	is("back", localstore.Contact{Reached: day(4), Complete: "20261104T030000Z"})
	check(s.Remember("url", "two"))
	is("another store", localstore.Contact{})
}
