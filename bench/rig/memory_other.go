//go:build unix && !linux

package rig

// levelMemory does nothing here.
func levelMemory() {}
