package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"lifeboat/internal/zst"
	"lifeboat/manifest"
)

// A manifest that cannot be read, for whatever reason, makes its snapshot unreadable, says why, and hides no other; validate names each with
// its own code.
func TestManifestsThatCannotBeRead(t *testing.T) {
	w := newWorld(t)
	enc, err := zst.NewEncoder(zst.Better, 1)
	w.check(err)
	put := func(stamp, stored string) {
		w.write(fmt.Sprintf("bucket/manifests/%s-%s.json.zst", stamp, manifest.HashOf([]byte(stored))), stored)
	}
	long := strings.Repeat("x", 300)
	put("20250101T000000Z", string(enc.Encode(nil, []byte(`{"format":"lifeboat/7","tool":"7.1.0","later":"`+long+`"}`))))
	put("20250102T000000Z", string(enc.Encode(nil, []byte(`{"format":"lifeboat/1","app":`+long))))
	put("20250103T000000Z", "no zstd at all")
	w.write("bucket/manifests/20250104T000000Z-"+manifest.HashOf(nil).String()+".json.zst", "of another name")
	want := map[string]struct{ why, code string }{
		"20250101T000000Z": {"lifeboat/7", "manifest_format"},
		"20250102T000000Z": {"invalid manifest", "manifest_damaged metadata_invalid_json"},
		"20250103T000000Z": {"invalid manifest", "manifest_damaged metadata_invalid_json"},
		"20250104T000000Z": {"damaged: its SHA-256 is", "manifest_damaged metadata_invalid_json"},
	}

	out, err := w.command("", nil, "list", "--store", "none", "--remote", "bucket", "--json").Output()
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	var doc struct{ Snapshots []listing }
	w.check(json.Unmarshal(out, &doc))
	unreadable, whole := 0, 0
	for _, l := range doc.Snapshots {
		bad, ok := want[string(l.Stamp)]
		switch {
		case !ok && l.State == "complete" && l.Files > 0 && l.Note == "":
			whole++
		case ok && l.State == "unreadable" && strings.Contains(l.Note, bad.why) && l.Age > 0 && len(l.Places) == 1:
			unreadable++
		default:
			t.Errorf("listed as %+v", l)
		}
	}
	if unreadable != len(want) || whole != 2 {
		t.Errorf("%d are unreadable and %d whole", unreadable, whole)
	}
	text, err := w.command("", nil, "list", "--store", "none", "--remote", "bucket").CombinedOutput()
	if err != nil || strings.Count(string(text), " unreadable ") != len(want) || strings.Count(string(text), " complete ") != 2 {
		t.Errorf("list: %v\n%s", err, text)
	}

	cmd := w.command("", nil, "validate", "--all", "--store", "none", "--remote", "bucket", "--json")
	out, err = cmd.Output()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != codeIntegrity {
		t.Errorf("validate: %v", err)
	}
	var checked struct {
		Reports []struct {
			Stamp         string
			Exists, Valid bool
			Findings      []struct{ Code, Detail string }
		}
	}
	w.check(json.Unmarshal(out, &checked))
	if len(checked.Reports) != len(want)+2 {
		t.Errorf("%d reports", len(checked.Reports))
	}
	for _, r := range checked.Reports {
		var codes []string
		for _, f := range r.Findings {
			codes = append(codes, f.Code)
		}
		if got := strings.Join(codes, " "); got != want[r.Stamp].code || r.Valid != (got == "") || !r.Exists {
			t.Errorf("%s: exists %v, valid %v: %s", r.Stamp, r.Exists, r.Valid, got)
		}
	}
}
