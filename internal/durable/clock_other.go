//go:build !linux

package durable

import "time"

// Clock returns the time that the file system of a directory goes by, which on a network is not this machine's. It makes a file for it.
func Clock(dir string) (time.Time, error) { return namedClock(dir) }
