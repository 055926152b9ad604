package main

import "fmt"

func dropPrivileges() {}

// condition knows [permissions]: whether a file can be kept from the user called nobody.
func condition(name string) (bool, error) {
	if name == "permissions" {
		return false, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}
