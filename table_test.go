package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	rows := [][]string{{"STAMP", "AGE", "SIZE", "WHERE"}, {"20060102T150405Z", "5 d", "1.0 MiB", "local, a-remote"}, {"20060102T150406Z", "12 min", "9 B", "ä"}}
	for _, test := range []struct {
		width int
		want  string
	}{
		{0, "STAMP             AGE     SIZE     WHERE\n20060102T150405Z  5 d     1.0 MiB  local, a-remote\n20060102T150406Z  12 min  9 B      ä"},
		{50, "STAMP             AGE     SIZE     WHERE\n20060102T150405Z  5 d     1.0 MiB  local, a-remote\n20060102T150406Z  12 min  9 B      ä"},
		{49, "STAMP             AGE     WHERE\n20060102T150405Z  5 d     local, a-remote\n20060102T150406Z  12 min  ä"},
		{40, "STAMP             WHERE\n20060102T150405Z  local, a-remote\n20060102T150406Z  ä"},
		{25, "STAMP             WHERE\n20060102T150405Z  local,…\n20060102T150406Z  ä"},
		{4, "STA…\n200…\n200…"},
	} {
		got := strings.Join(table(cloned(rows), test.width, "SIZE", "AGE"), "\n")
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%d columns (-want, +got):\n%s", test.width, diff)
		}
	}
}

func cloned(rows [][]string) [][]string { return append([][]string(nil), rows...) }
