//go:build unix && !linux

package restore_test

import "errors"

func mount(string, string, bool) error { return errors.New("mounts are made on Linux alone") }
