package config

import (
	"errors"
	"fmt"
)

// leastSpool is the smallest spool that is any use: a few archives.
const leastSpool = 8 << 20

// ParseSpool reads how large the spool may be.
func ParseSpool(text string) (Size, error) {
	n, err := ParseSize(text)
	if err == nil && n < leastSpool {
		return 0, fmt.Errorf("%s: want 8MiB or more", text)
	}
	return n, err
}

var errNoLimit = errors.New("want more than nothing: a database cannot be read without it")

// ParseMaxPin reads how long a database may be pinned.
func ParseMaxPin(text string) (Duration, error) {
	d, err := ParseDuration(text)
	if err == nil && d <= 0 {
		return 0, fmt.Errorf("%s: %w", text, errNoLimit)
	}
	return d, err
}

// ParseMaxBlock reads how long writers may be kept from committing at a stretch.
func ParseMaxBlock(text string) (Duration, error) {
	d, err := ParseDuration(text)
	if err == nil && d <= 0 {
		return 0, fmt.Errorf("%s: %w", text, errNoLimit)
	}
	return d, err
}

// ParseMaxWALGrowth reads by how much the log of a database may grow while it is pinned.
func ParseMaxWALGrowth(text string) (Size, error) {
	n, err := ParseSize(text)
	if err == nil && n == 0 {
		return 0, fmt.Errorf("%s: %w", text, errNoLimit)
	}
	return n, err
}
