package localstore_test

import (
	"testing"

	"lifeboat/localstore"
	"lifeboat/manifest"
)

// What was removed from a remote is remembered for as long as it is here, for each remote, until it is to be there again.
func TestForgone(t *testing.T) {
	s := prepared(t)
	ids := []manifest.ID{{Stamp: "20260101T000000Z"}, {Stamp: "20260102T000000Z"}, {Stamp: "20260103T000000Z"}}
	want := func(url string, want ...manifest.ID) {
		t.Helper()
		again, err := localstore.Open(t.Context(), s.Path()) // as a later process does
		if err != nil {
			t.Fatal(err)
		}
		got, err := again.Forgone(url)
		if err != nil || len(got) != len(want) {
			t.Fatalf("Forgone(%s) = %v (%v), want %v", url, got, err, want)
		}
		for _, id := range want {
			if !got[id] {
				t.Errorf("Forgone(%s) = %v, want %v", url, got, want)
			}
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	all := func(manifest.ID) bool { return true }
	want("s3://a/b")
	must(s.Forgo("s3://a/b", all, ids[0], ids[1]))
	must(s.Forgo("s3://a/b", all, ids[1], ids[0]))
	must(s.Forgo("file:///c", all, ids[2]))
	want("s3://a/b", ids[0], ids[1])
	want("file:///c", ids[2])
	must(s.Recall("s3://a/b", ids[0]))
	must(s.Recall("s3://a/b", ids[0]))
	want("s3://a/b", ids[1])
	must(s.Forgo("s3://a/b", func(id manifest.ID) bool { return id != ids[1] }, ids[2]))
	want("s3://a/b", ids[2])
	want("file:///c", ids[2])
	must(s.Recall("file:///c", ids[2]))
	want("file:///c")
}
