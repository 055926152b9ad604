package remote_test

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"lifeboat/remote"
)

func TestMemoryClock(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	s := remote.NewMemory(func() time.Time { return now })
	if err := s.Put(t.Context(), "key", body(nil), remote.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	stamped := now
	now = now.Add(time.Hour)
	if info, err := s.Stat(t.Context(), "key"); err != nil || !info.ModTime.Equal(stamped) {
		t.Errorf("Stat = %+v, %v; want %v", info, err, stamped)
	}
	if got, err := s.Now(t.Context()); err != nil || !got.Equal(now) {
		t.Errorf("Now = %v, %v; want %v", got, err, now)
	}
}

func TestMemoryRefusesNestedKeys(t *testing.T) {
	s := remote.NewMemory(nil)
	if err := s.Put(t.Context(), "a/b", body(nil), remote.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "a/b/c"} {
		if err := s.Put(t.Context(), key, body(nil), remote.PutOptions{}); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Put(%q) = %v, want fs.ErrInvalid", key, err)
		}
	}
}
