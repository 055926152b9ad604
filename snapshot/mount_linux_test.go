package snapshot_test

import "syscall"

func mountBind(from, at string) error { return syscall.Mount(from, at, "", syscall.MS_BIND, "") }
func unmount(at string) error         { return syscall.Unmount(at, syscall.MNT_DETACH) }
