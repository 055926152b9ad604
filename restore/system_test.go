//go:build unix

package restore_test

import (
	"slices"
	"strings"
)

func sorted(list []string) string {
	slices.Sort(list)
	return strings.Join(list, " ")
}
