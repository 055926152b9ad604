//go:build unix && !linux

package snapshot_test

import "errors"

func mountBind(string, string) error { return errors.ErrUnsupported }
func unmount(string) error           { return errors.ErrUnsupported }
