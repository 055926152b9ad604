package drill_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lifeboat/drill"
	"lifeboat/internal/layout"
	"lifeboat/manifest"
	"lifeboat/remote"
)

func sample() *drill.Record {
	at := time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC)
	return &drill.Record{App: "app", Snapshot: manifest.ID{Stamp: "20260102T000000Z", SHA256: manifest.HashOf([]byte("x"))},
		Result: drill.OK, Mode: drill.Restored, Began: at, Finished: at.Add(time.Minute), Files: 3, Bytes: 500, Fetched: 200,
		Phases: []drill.Phase{{Name: "fetch", MS: 12, Bytes: 200}}, Checks: drill.Checks{Files: 3}}
}

func memory() layout.Store { return layout.Store{Store: remote.NewMemory(time.Now)} }

// What is written reads as the same, and is written as the same bytes again.
func TestRecordRoundTrip(t *testing.T) {
	r := sample()
	r.Failures = []drill.Finding{{Kind: "sql", Where: "a\u2028<b>", Detail: "\ufffd \x01"}}
	r.Result, r.Stamp = drill.Failed, "20260103T000100Z"
	d, data, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if name, err := layout.ParseDrill(d.Name()); err != nil || name != d {
		t.Errorf("%s reads as %v (%v)", d.Name(), name, err)
	}
	again, err := drill.Parse(d, data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, again); diff != "" {
		t.Error(diff)
	}
	if _, text, err := again.Encode(); err != nil || !bytes.Equal(text, data) {
		t.Errorf("encoded again: %s (%v), want %s", text, err, data)
	}
}

// A record that is not what its name says is none.
func TestParseRefuses(t *testing.T) {
	r := sample()
	r.Stamp = "20260103T000100Z"
	d, data, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		if _, err := drill.Parse(d, bad); !errors.Is(err, layout.ErrDamaged) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	for name, change := range map[string][2]string{
		"another result":   {`"ok"`, `"failed"`},
		"no result":        {`"result":"ok",`, ``},
		"another snapshot": {`20260102T`, `20260101T`},
		"another time":     {`20260103T000100Z`, `20260103T000101Z`},
		"negative":         {`"bytes":500`, `"bytes":-500`},
		"negative time":    {`"ms":12`, `"ms":-12`},
		"a fraction":       {`"ms":12`, `"ms":1.2`},
		"a later format":   {`lifeboat/1`, `lifeboat/2`},
		"no record before": {`"files":3`, `"previous":[{"name":"x","sha256":"` + d.SHA256.String() + `"}],"files":3`},
		"another before":   {`"files":3`, `"previous":[{"name":"` + d.Name() + `","sha256":"` + strings.Repeat("1a", 32) + `"}],"files":3`},
	} {
		text := bytes.Replace(data, []byte(change[0]), []byte(change[1]), 1)
		if bytes.Equal(text, data) {
			t.Fatalf("%s changes nothing", name)
		}
		named := d
		named.SHA256 = manifest.HashOf(text)
		if _, err := drill.Parse(named, text); !errors.Is(err, manifest.ErrInvalid) && !errors.As(err, new(*manifest.FormatError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// store writes a record of the sample into a store, and returns its name.
func store(t *testing.T, s layout.Store, now time.Time) layout.Drill {
	t.Helper()
	r := sample()
	r.Began = now.Add(-time.Minute)
	d, _, err := r.Keep(t.Context(), s, now)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Every record that another names is missed when it is gone, and every byte that is flipped is noticed; and nothing is when all is there.
func TestChain(t *testing.T) {
	at := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	fill := func() (layout.Store, []layout.Drill) {
		s := memory()
		var names []layout.Drill
		for i := range 4 {
			names = append(names, store(t, s, at.Add(time.Duration(i)*time.Hour)))
		}
		// Two drills at once: the second does not see the first.
		r := sample()
		r.Stamp, r.Previous = names[3].At, []drill.Link{{Name: names[2].Name(), SHA256: names[2].SHA256}}
		d, data, err := r.Encode()
		if err == nil {
			err = s.PutDrill(t.Context(), d, data)
		}
		if err != nil {
			t.Fatal(err)
		}
		return s, append(names, d, store(t, s, at)) // by a clock that is behind
	}
	s, names := fill()
	if breaks, err := drill.CheckChain(t.Context(), s, ""); err != nil || len(breaks) > 0 {
		t.Fatalf("%+v (%v)", breaks, err)
	}
	last := names[len(names)-1]
	r, err := drill.Read(t.Context(), s, last)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Previous) != 2 || r.Stamp <= names[3].At {
		t.Errorf("the record after two at once is of %s and names %+v", r.Stamp, r.Previous)
	}
	for i, d := range names[:len(names)-1] {
		s, _ := fill()
		if err := s.Delete(t.Context(), d.Key()); err != nil {
			t.Fatal(err)
		}
		breaks, err := drill.CheckChain(t.Context(), s, "")
		if err != nil || len(breaks) == 0 || breaks[0].Name != d.Name() || !breaks[0].Missing {
			t.Errorf("record %d was removed: %+v (%v)", i, breaks, err)
		}
	}
	if err := s.Delete(t.Context(), last.Key()); err != nil {
		t.Fatal(err)
	}
	if breaks, err := drill.CheckChain(t.Context(), s, last.Name()); err != nil || len(breaks) != 1 || breaks[0].Name != last.Name() || !breaks[0].Missing {
		t.Errorf("the newest was removed: %+v (%v)", breaks, err)
	}
	for i, d := range names {
		s, _ := fill()
		if err := s.PutDrill(t.Context(), d, []byte("{}\n")); err != nil {
			t.Fatal(err)
		}
		breaks, err := drill.CheckChain(t.Context(), s, "")
		if err != nil || len(breaks) != 1 || breaks[0].Name != d.Name() || breaks[0].Missing {
			t.Errorf("record %d was changed: %+v (%v)", i, breaks, err)
		}
	}
}
