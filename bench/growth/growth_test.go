//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/bench/measure"
	"lifeboat/bench/rig"
)

func TestTenfold(t *testing.T) {
	if got := tenfold(100, 10_000); !slices.Equal(got, []int64{100, 1000, 10_000}) {
		t.Errorf("%v", got)
	}
	if got := tenfold(100, 99); got != nil {
		t.Errorf("up to less than the first: %v", got)
	}
}

// What grows faster than in proportion is named, but not what is too small to say anything of; and a step that failed has no figure.
func TestPrint(t *testing.T) {
	at := func(size int64, wall time.Duration) *point {
		s := rig.Sample{Usage: measure.Usage{Wall: wall, CPU: 10 * time.Millisecond}}
		return &point{Size: size, Steps: map[string]rig.Sample{"list, again": s, "status": {Usage: measure.Usage{Wall: wall / 1000}}}, Failed: map[string]string{"show, cold": "so"}, State: size << 20, Proofs: 1 << 20}
	}
	a := axis{name: "files", unit: "files", points: []*point{at(10, time.Second), at(100, 100*time.Second)}}
	var b bytes.Buffer
	a.print(&b)
	for _, want := range []string{
		"| list, again | 1.00 | 100.00 n^2.00 |", "| status | 0.00 | 0.10 n^2.00 |", "| show, cold | - | - |", "| list, again | 0.01 | 0.01 |",
		"this grew faster than in proportion: list, again, seconds: n^2.00 from 10 to 100 files", "| all of it | 10.000 | 100.000 n^1.00 |", "Failed at 100 files: show, cold.",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &b)
		}
	}
}

func TestMakeFiles(t *testing.T) {
	dir := t.TempDir()
	if err := makeFiles(dir, perDirectory+1); err != nil {
		t.Fatal(err)
	}
	var files, dirs int
	if err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if e.IsDir() {
			dirs++
		} else {
			files++
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(files, dirs); got != "501 3" {
		t.Errorf("files and directories: %s", got)
	}
}
