//go:build race

package manifest_test

// slow is by how much less the longest tests do under the race detector, which has nothing to find here and takes ten times as long.
const slow = 8
