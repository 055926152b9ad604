//go:build race

package swap_test

// The race detector slows these tests, which start no goroutine, to a seventh.
const underRace = true
