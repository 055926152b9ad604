package remote_test

import (
	"testing"

	"lifeboat/remote"
	"lifeboat/remote/remotetest"
)

func TestMemory(t *testing.T) {
	remotetest.Test(t, func(*testing.T) remote.Store { return remote.NewMemory(nil) })
}

func TestDir(t *testing.T) {
	remotetest.Test(t, func(t *testing.T) remote.Store {
		d, err := remote.NewDir(t.TempDir(), remote.DirOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}
