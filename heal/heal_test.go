//go:build unix

package heal_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"lifeboat/heal"
	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/localstore"
	"lifeboat/manifest"
	"lifeboat/snapshot"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var now = time.Date(2026, 11, 22, 20, 15, 0, 0, time.UTC)

// taken is a store with a snapshot, and what that needs.
func taken(t *testing.T) (*localstore.Store, *layout.Snapshot, *heal.Needs) {
	t.Helper()
	dir := t.TempDir()
	snaptest.WriteFile(t, dir+"/some", 100_000, snaptest.Random, 1)
	snaptest.WriteFile(t, dir+"/other", 1000, snaptest.Random, 2)
	local := snaptest.Local(t)
	res := snaptest.Take(t, local, snapshot.Options{}, snaptest.Directory("d", dir))
	snap := snaptest.Open(t, res.ID, local.Store)
	n := heal.NewNeeds()
	if n.See(snap.ID, now) {
		t.Error("what nobody has learned is known")
	}
	must(t, n.Learn(t.Context(), snap, now))
	return local, snap, n
}

func compare(t *testing.T, n *heal.Needs, local *localstore.Store) []*heal.Loss {
	t.Helper()
	survey, err := local.Survey(t.Context())
	must(t, err)
	return n.Compare(survey)
}

// What is remembered is what was learned, and no flipped byte of it is believed.
func TestNeedsAreRemembered(t *testing.T) {
	local, snap, n := taken(t)
	data, changed, err := n.Encode(now)
	must(t, err)
	again, err := heal.ParseNeeds(data)
	must(t, err)
	if !changed || !again.See(snap.ID, now) || len(compare(t, again, local)) != 0 {
		t.Error("what was learned is not what is remembered")
	}
	if _, changed, err := again.Encode(now); changed || err != nil {
		t.Errorf("nothing is new, and is to be written (%v)", err)
	}
	must(t, local.Delete(t.Context(), layout.ArchiveKey(snap.Head.Roots[0].SHA256)))
	if l := compare(t, again, local); len(l) != 1 || !l[0].Missing || !slices.Equal(l[0].Snapshots, []manifest.ID{snap.ID}) {
		t.Errorf("one archive is gone: %+v", l)
	}
	for i := range data {
		flipped := bytes.Clone(data)
		flipped[i] ^= 1
		if _, err := heal.ParseNeeds(flipped); err == nil {
			t.Fatalf("byte %d is flipped, and it is believed", i)
		}
		if _, err := heal.ParseNeeds(data[:i]); err == nil {
			t.Fatalf("cut at %d, it is believed", i)
		}
	}
	if !again.See(snap.ID, now.AddDate(0, 0, 20)) {
		t.Error("what is listed is forgotten")
	}
	data, _, err = again.Encode(now.AddDate(0, 0, 40))
	must(t, err)
	if kept, err := heal.ParseNeeds(data); err != nil || !kept.See(snap.ID, now) {
		t.Errorf("what was seen 20 days ago is forgotten (%v)", err)
	}
	again.See(snap.ID, now.AddDate(0, 0, 21))
	data, _, err = again.Encode(now.AddDate(0, 0, 60))
	must(t, err)
	if gone, err := heal.ParseNeeds(data); err != nil || gone.See(snap.ID, now) {
		t.Errorf("what nobody has listed for more than a month is still remembered (%v)", err)
	}
}

// A digest that is right, of what makes no sense, is not believed either.
func TestNeedsOfNoSense(t *testing.T) {
	_, snap, n := taken(t)
	data, _, err := n.Encode(now)
	must(t, err)
	_, text, _ := bytes.Cut(data, []byte{'\n'})
	for _, change := range [][2]string{{"lifeboat-needs/1", "lifeboat-needs/2"}, {`"runs":[0,`, `"runs":[1,`}, {`"runs":[0,`, `"runs":[-1,`}, {`"runs":[`, `"runs":[7,`}, {snap.ID.String(), "yesterday"}} {
		if !bytes.Contains(text, []byte(change[0])) {
			t.Fatalf("%s has no %s", text, change[0])
		}
		changed := bytes.Replace(text, []byte(change[0]), []byte(change[1]), 1)
		if _, err := heal.ParseNeeds(fmt.Appendf(nil, "%s\n%s", manifest.HashOf(changed), changed)); err == nil {
			t.Errorf("with %s it is believed", change[1])
		}
	}
}

// A listing that is older than what it is compared with shows losses that are none.
func TestLossesAreConfirmed(t *testing.T) {
	local, snap, n := taken(t)
	empty := &layout.Survey{Snapshots: []layout.Entry{{ID: snap.ID, Size: 5}}, Archives: map[manifest.Hash]layout.ArchiveInfo{}}
	losses := n.Compare(empty)
	if len(losses) != int(snap.Head.Archives.Count)+len(snap.Head.Roots)+1 {
		t.Fatalf("%d losses in an empty listing", len(losses))
	}
	real, err := heal.Confirm(t.Context(), local.Store, losses)
	must(t, err)
	if len(real) != 0 {
		t.Errorf("nothing is lost, and this is said to be: %+v", real)
	}
	must(t, local.Delete(t.Context(), layout.ManifestKey(snap.ID))) // it was removed, since
	if real, err = heal.Confirm(t.Context(), local.Store, n.Compare(empty)); err != nil || len(real) != 0 {
		t.Errorf("a snapshot that was removed is said to be lost: %+v (%v)", real, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := heal.Confirm(ctx, local.Store, n.Compare(empty)); err == nil {
		t.Error("nobody could look, and nothing is lost")
	}
}

// Which files a loss touches, and which it does not.
func TestTouch(t *testing.T) {
	_, snap, n := taken(t)
	empty := &layout.Survey{Snapshots: []layout.Entry{{ID: snap.ID}}, Archives: map[manifest.Hash]layout.ArchiveInfo{}}
	losses := n.Compare(empty)
	stranger := &heal.Loss{SHA256: manifest.HashOf([]byte("x"))}
	touched, err := heal.Touch(t.Context(), snap, append(losses, stranger))
	must(t, err)
	if touched[stranger] != nil || len(touched) != len(losses) {
		t.Errorf("%d of %d losses touch the snapshot, one that it does not need: %v", len(touched), len(losses), touched[stranger])
	}
	for _, l := range losses {
		got := touched[l]
		_, isRoot := map[manifest.Hash]bool{snap.Head.Roots[0].SHA256: true}[l.SHA256]
		switch {
		case l.Manifest || isRoot:
			if !got.Describes || got.Count != 0 {
				t.Errorf("%s describes the snapshot: %+v", l.Key, got)
			}
		case got.Describes || !slices.Equal(got.Files, []string{"d/other", "d/some"}) || got.Count != 2:
			t.Errorf("%s: %+v", l.Key, got)
		}
	}
}
