package restore_test

import "syscall"

// mount mounts a new file system at target, or source again.
func mount(source, target string, bind bool) error {
	if bind {
		return syscall.Mount(source, target, "", syscall.MS_BIND, "")
	}
	return syscall.Mount("none", target, "tmpfs", 0, "")
}
