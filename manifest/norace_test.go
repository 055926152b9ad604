//go:build !race

package manifest_test

const slow = 1
