//go:build !race

package swap_test

const underRace = false
