package formats_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/zst"
	"lifeboat/recovery/recoverytest"
)

// rewrite replaces text in a manifest of a store and stores it under the name that it has then, which it returns as an ID.
func rewrite(t testing.TB, store, id string, old, by string) string {
	t.Helper()
	name := filepath.Join(store, "manifests", id+".json.zst")
	stored, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	head := decode(t, stored)
	if bytes.Count(head, []byte(old)) != 1 {
		t.Fatalf("%q is not once in %s", old, head)
	}
	enc, err := zst.NewEncoder(zst.Default, 1)
	if err != nil {
		t.Fatal(err)
	}
	stored = enc.Encode(nil, bytes.Replace(head, []byte(old), []byte(by), 1))
	again := id[:17] + hexSum(stored)
	if err := os.WriteFile(filepath.Join(store, "manifests", again+".json.zst"), stored, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	return again
}

// What a later version may add under the same number disturbs no reader of today, and no prune takes it.
func TestWhatMayBeAddedIsIgnored(t *testing.T) {
	recoverytest.Need(t)
	m := newMachine(t)
	g := copyGolden(t, m, "incremental")
	at := []string{"--store", "none", "--remote", g.store}
	last := g.listed[len(g.listed)-1]
	e := g.expected[last]
	id := rewrite(t, g.store, last, `"kind":"backup",`, `"kind":"backup","a_later_key":{"list":[1,"x",true],"of":{"objects":1}},`)
	marker := filepath.Join(g.store, "lifeboat.json")
	data, err := os.ReadFile(marker)
	if err != nil {
		t.Fatal(err)
	}
	more := map[string]string{
		"lifeboat.json":                        strings.Replace(string(data), `{`, `{"later":1,`, 1),
		"manifests/" + id + ".json.zst.sig":    "a signature",
		"signatures/" + id:                     "a signature",
		"archives/README":                      "what somebody else put there",
		"removed/later":                        "",
		"manifests/" + id[:17] + "x.json.zst":  "",
		"pins/" + strings.Repeat("0", len(id)): "",
	}
	old := time.Now().Add(-60 * time.Hour)
	for name, text := range more {
		path := filepath.Join(g.store, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	m.run(0, append(at, "validate", "--all", "--read-data")...)
	m.run(0, append(at, "restore", id, "--target", m.path("out"))...)
	mustMatch(t, "restore", e, m.path("out"), true)
	for _, script := range recoverytest.Scripts() {
		dest := filepath.Join(recoverytest.TempDir(t), "dest")
		if r := recoverytest.Run(t, script, g.store, id, dest); r.Code != 0 {
			t.Errorf("recover.%s: exit code %d\n%s", script, r.Code, r.Stderr)
		}
		mustMatch(t, "recover."+string(script), e, dest, script == recoverytest.Python)
	}
	m.run(0, append(at, "remove", g.listed[0])...)
	for key := range digests(t, g.store) {
		if err := os.Chtimes(filepath.Join(g.store, filepath.FromSlash(key)), old, old); err != nil {
			t.Fatal(err)
		}
	}
	m.run(0, append(at, "prune", "--keep-last", "99")...)
	there := digests(t, g.store)
	for name := range more {
		if there[name] == "" {
			t.Errorf("prune removed %s, which it does not know", name)
		}
	}
}

// A store whose marker has a later number is written to by nobody.
func TestStoreOfALaterFormatIsLeftAlone(t *testing.T) {
	m := newMachine(t)
	g := copyGolden(t, m, "incremental")
	m.run(0, "restore", g.listed[0], "--store", "none", "--remote", g.store, "--target", m.path("app"))
	m.run(0, "create", "data=app/data", "--app", "ledger")
	marker := filepath.Join(g.store, "lifeboat.json")
	data, err := os.ReadFile(marker)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(marker, bytes.Replace(data, []byte(`"lifeboat/1"`), []byte(`"lifeboat/2"`), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	before := digests(t, g.store)
	for _, command := range [][]string{
		{"backup", "data=app/data", "--app", "ledger", "--takeover"}, {"push", "--app", "ledger", "--takeover"}, {"prune", "--keep-last", "1", "--store", "none"},
		{"remove", g.listed[0], "--store", "none"}, {"pin", g.listed[0], "--store", "none"}, {"unpin", g.listed[0], "--store", "none"},
		{"recovery-kit", "--stores", "--store", "none"},
	} {
		code, said := m.try(append(command, "--remote", g.store)...)
		if code == 0 || !strings.Contains(said, `lifeboat/2`) {
			t.Errorf("%s: exit code %d: %s", command[0], code, said)
		}
		if diff := cmp.Diff(before, digests(t, g.store)); diff != "" {
			t.Fatalf("%s changed the store:\n%s", command[0], diff)
		}
	}
}

// A snapshot of a later number keeps no other from being read, is named, and keeps a prune from removing anything.
func TestSnapshotOfALaterFormatKeepsPruneAway(t *testing.T) {
	m := newMachine(t)
	g := copyGolden(t, m, "incremental")
	at := []string{"--store", "none", "--remote", g.store}
	m.run(0, append(at, "remove", g.listed[0])...)
	id := rewrite(t, g.store, g.listed[1], `"format":"lifeboat/1"`, `"format":"lifeboat/2"`)
	old := time.Now().Add(-60 * time.Hour)
	before := digests(t, g.store)
	for key := range before {
		if err := os.Chtimes(filepath.Join(g.store, filepath.FromSlash(key)), old, old); err != nil {
			t.Fatal(err)
		}
	}
	code, said := m.try(append(at, "prune", "--keep-last", "99")...)
	if code != 4 || !strings.Contains(said, id[:16]) {
		t.Errorf("prune: exit code %d, and not 4: %s", code, said)
	}
	after := digests(t, g.store)
	maps.DeleteFunc(after, func(key, _ string) bool { return strings.HasPrefix(key, "pruning/") })
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("prune removed something:\n%s", diff)
	}
	last := g.listed[len(g.listed)-1]
	m.run(0, append(at, "validate", "--read-data", last)...)
	if code, said := m.try(append(at, "restore", id, "--target", m.path("out"))...); code == 0 || !strings.Contains(said, "lifeboat/2") {
		t.Errorf("restore of a snapshot of a later format: exit code %d: %s", code, said)
	}
	if listed := m.listed(g.store); !slices.Contains(listed, last) || !slices.Contains(listed, id) {
		t.Errorf("list has %q", listed)
	}
}
