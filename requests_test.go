//go:build unix

package main

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lifeboat/integration/miniotest"
)

// kindOf says what a request is for.
func kindOf(r miniotest.Request) string {
	if r.Query.Has("list-type") {
		return "LIST"
	}
	what := "store" // the marker and what recovers without lifeboat
	for _, dir := range []string{"archives", "manifests", "drills", "pins", "pruning", "removed"} {
		if strings.Contains(r.Path, "/"+dir+"/") {
			what = dir
		}
	}
	return r.Method + " " + what
}

// What each command asks of a bucket, as the table in docs/operations.md says it. Whoever adds a request changes both, and knows why.
func requestsOfCommands(t *testing.T, proxy *miniotest.Proxy) {
	bucket := proxy.Bucket(t)
	w := newWeek(t, proxy, bucket, "app: app\nsources: [{path: app}]\nlocal: {keep: 1}\nremotes: [{url: \"s3://%s/a\", name: a}]\n#%s\n")
	w.write("app/one", "one")
	w.write("app/big", strings.Repeat("0123456789abcdef", 200_000))
	forget := func() {
		if err := os.RemoveAll(filepath.Join(w.dir, ".cache")); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		name string
		do   func() // before
		args []string
		want string // kinds and numbers, in order of kinds
	}{
		{"the first backup", nil, []string{"backup"}, "1 HEAD store, 3 LIST, 2 PUT archives, 1 PUT manifests, 4 PUT store"},
		{"nothing changed", nil, []string{"backup"}, "1 GET store, 3 LIST, 1 PUT manifests"},
		{"something changed", func() { w.write("app/one", "two") }, []string{"backup"}, "1 GET store, 3 LIST, 1 PUT archives, 1 PUT manifests"},
		{"nothing to push", nil, []string{"push"}, "1 GET store, 2 LIST"},
		{"list, on a new machine", forget, []string{"list", "--store", "none"}, "3 GET manifests, 1 GET store, 1 LIST"},
		{"list, again", nil, []string{"list", "--store", "none"}, "1 LIST"},
		{"show, on a new machine", forget, []string{"show", "--store", "none"}, "1 GET manifests, 1 GET store, 1 LIST"},
		{"show, again", nil, []string{"show", "--store", "none"}, "1 LIST"},
		{"ls, on a new machine", forget, []string{"ls", "latest", "--store", "none"}, "1 GET archives, 1 GET manifests, 1 GET store, 1 LIST"},
		// Of what describes the file, one part is in the archive of the last snapshot, and the other in that of the first.
		{"cat, on a new machine", forget, []string{"cat", "latest", "app/one", "--store", "none"}, "3 GET archives, 1 GET manifests, 1 GET store, 1 LIST"},
		{"cat, again", nil, []string{"cat", "latest", "app/one", "--store", "none"}, "3 GET archives, 1 LIST"},
		{"status, which takes nobody's word for it", nil, []string{"status", "--store", "none"}, "1 GET manifests, 1 GET store, 1 LIST"},
		{"a restore", nil, []string{"restore", "latest", "--target", "r", "--store", "none"}, "GET archives, 1 GET manifests, 1 GET store, 1 LIST"},
	} {
		if step.do != nil {
			step.do()
		}
		proxy.Reset()
		w.now = w.now.Add(1e9)
		w.run(0, nil, step.args...)
		counts := map[string]int{}
		for _, r := range proxy.Requests() {
			if r.Status == http.StatusNotFound && r.Method != http.MethodHead {
				t.Errorf("%s: %s finds nothing, and should not be asked", step.name, r)
			}
			counts[kindOf(r)]++
		}
		var list []string
		for _, kind := range slices.Sorted(maps.Keys(counts)) {
			if kind == "GET archives" && step.args[0] == "restore" {
				list = append(list, kind) // how many is for package restore to say
				continue
			}
			list = append(list, fmt.Sprintf("%d %s", counts[kind], kind))
		}
		if got := strings.Join(list, ", "); got != step.want {
			t.Errorf("%s: %s, want %s", step.name, got, step.want)
		}
	}
}
