//go:build !linux

package inuse

func look([]string) (Found, error) { return sum(nil, false), nil }
