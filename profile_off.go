//go:build !profile

package main

// startProfiles does nothing: go build -tags profile makes a lifeboat that can be profiled. See CONTRIBUTING.md.
func startProfiles() (stop func()) { return func() {} }
