package remote_test

import (
	"context"
	"iter"
	"net/http"
	"strings"
	"testing"

	"lifeboat/remote"
)

// A listing from some name on asks for no more than that, and is right also where a server lists everything.
func TestListAfter(t *testing.T) {
	for name, ignored := range map[string]bool{"known": false, "ignored": true} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, false)
			for _, key := range []string{"archives/1", "archives/2", "archives/3", "lifeboat.json", "manifests/1", "pins/1", "removed/1"} {
				f.objects["app/"+key] = []byte("x")
			}
			f.objects["other/x"] = nil
			if ignored {
				f.intercept = func(_ int, w http.ResponseWriter, r *http.Request) bool {
					q := r.URL.Query()
					q.Del("start-after")
					r.URL.RawQuery = q.Encode()
					return false
				}
			}
			store := f.open(t, nil).(interface {
				ListAfter(ctx context.Context, after string) iter.Seq2[remote.Info, error]
			})
			var keys []string
			for info, err := range store.ListAfter(t.Context(), "lifeboat.") {
				if err != nil {
					t.Fatal(err)
				}
				keys = append(keys, info.Key)
			}
			if got := strings.Join(keys, " "); got != "lifeboat.json manifests/1 pins/1 removed/1" {
				t.Errorf("it lists %s", got)
			}
			if n, want := len(f.requests), map[bool]int{false: 2, true: 4}[ignored]; n != want {
				t.Errorf("%d pages, want %d", n, want)
			}
		})
	}
}
