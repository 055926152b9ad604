//go:build unix && !linux

package rig

// LevelMemory does nothing here.
func LevelMemory() {}
