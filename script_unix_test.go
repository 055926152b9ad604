//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"
)

// dropPrivileges makes this process that of a user who owns nothing, if it is root's.
func dropPrivileges() {
	if os.Geteuid() != 0 {
		return
	}
	const nobody = 65534
	for _, err := range []error{syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody)} {
		if err != nil {
			fmt.Fprintln(os.Stderr, "drop privileges:", err)
			os.Exit(1)
		}
	}
}

// condition knows [permissions]: whether a file can be kept from the user called nobody.
func condition(name string) (bool, error) {
	if name == "permissions" {
		return true, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}
