package swap_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"lifeboat/internal/snaptest"
)

// All but root need to be allowed to write to a directory that they move: it is, for that instant, and has its mode again wherever
// the swap was killed.
func TestWithoutPrivileges(t *testing.T) {
	if snaptest.AsNobody(t) {
		return
	}
	dir := fastDir(t)
	closed := filepath.Join(dir, "closed")
	must(t, os.MkdirAll(filepath.Join(closed, "x"), 0o755))
	must(t, os.Chmod(filepath.Join(closed, "x"), 0o500))
	if os.Rename(filepath.Join(closed, "x"), filepath.Join(dir, "x")) == nil {
		t.Log("here such a directory can be moved as it is")
	}
	count := 0
	for _, name := range []string{"directory without write permission", "directory without write permission or exchange"} {
		sc := sceneOf(t, name)
		for k, more := 0, true; more; k++ {
			for _, undo := range []bool{false, true} {
				for k2 := range 4 {
					what := fmt.Sprintf("%s, killed at %d, then at %d, undo: %t", name, k, k2, undo)
					count++
					w := newWorld(t, sc, filepath.Join(dir, fmt.Sprint(count)))
					more = w.run(k, func(fn step) { must(t, w.commit(fn)) })
					w.run(k2*3, func(fn step) {
						if s := w.reopen(fn); s == nil || s.Record().State == "staging" {
							return
						} else if undo {
							must(t, s.Undo())
						} else {
							must(t, s.Resume())
						}
					})
					w.finish(what, undo)
					removeAll(w.root)
				}
			}
		}
	}
	t.Logf("%d combinations", count)
}
