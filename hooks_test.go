package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"lifeboat/internal/config"
	"lifeboat/internal/environ"
	"lifeboat/internal/hook"
	"lifeboat/snapshot"
)

// The lock is held from the end of Before to After, and what runs before is over by then.
func TestLockAroundACapture(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "app.lock")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	h := &hooks{Hooks: config.Hooks{LockFile: path}, session: &session{ui: newUI(t.Output(), t.Output(), environ.Env{})}}
	opts := h.around(ctx, "app", "", snapshot.Options{})
	application := flock.New(path)
	free := func() bool {
		t.Helper()
		got, err := application.TryLock()
		if err != nil {
			t.Fatal(err)
		}
		if got {
			application.Unlock()
		}
		return got
	}
	if err := opts.Before(ctx); err != nil {
		t.Fatal(err)
	}
	if free() {
		t.Error("the lock is not held while the sources are read")
	}
	if err := opts.After(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if !free() {
		t.Error("the lock is still held after")
	}
	if got, err := application.TryLock(); !got || err != nil {
		t.Fatal(got, err)
	}
	_, err := hook.Lock(ctx, path, 120*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "somebody still held it after 120ms") {
		t.Errorf("a lock that the application holds: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := hook.Lock(cancelled, path, time.Hour); err != context.Canceled {
		t.Errorf("interrupted while it waits for the lock: %v", err)
	}
}
