package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"lifeboat/internal/environ"
)

var update = flag.Bool("update", false, "write the documents of testdata/json anew")

// The documents that commands write, in the order in which they are run in one world; see testdata/json. What a name has after a dot
// tells several of one command apart.
var documents = []struct {
	name  string
	args  string
	code  int
	setup func(w *world)
}{
	{name: "demo", args: "demo"},
	{name: "backup", args: "backup app --app app --remote bucket"},
	{name: "backup.incomplete", args: "backup app nosuch other=other/app --except other --app app --remote bucket --remote app/x", code: 3},
	{name: "create", args: "create app other=other/app --app app"},
	{name: "list", args: "list --remote bucket"},
	{name: "list.unreadable", args: "list --store none --remote damaged", setup: func(w *world) {
		w.check(exec.Command("cp", "-r", w.path("bucket"), w.path("damaged")).Run())
		w.flip("damaged/manifests/*", 30)
	}},
	{name: "push", args: "push --app app --remote second"},
	{name: "push.failed", args: "push --app app --remote app/x", code: 10},
	{name: "push.repaired", args: "push --app app --remote second", setup: func(w *world) {
		w.check(exec.Command("sh", "-c", "rm $(ls -S '"+w.path("second/archives")+"'/* | head -1)").Run())
	}},
	{name: "pull", args: "pull latest --app app --store third --remote second"},
	{name: "copy", args: "copy --app app --remote bucket --to mirror"},
	{name: "copy.failed", args: "copy --app app --remote nosuch --to repaired", code: 10, setup: func(w *world) {
		w.check(exec.Command("cp", "-r", w.path("mirror"), w.path("repaired")).Run())
		w.remove("repaired/archives")
	}},
	{name: "show", args: "show latest --remote bucket"},
	{name: "ls", args: "ls latest --remote bucket"},
	{name: "diff", args: "diff latest@2100-01-01 latest --remote bucket"},
	{name: "diff.incremental", args: "diff 20260105 20260107 --store none --remote incremental", setup: func(w *world) {
		stores, err := filepath.Abs("testdata/stores")
		w.check(err)
		w.check(os.Symlink(filepath.Join(stores, "incremental", "store"), w.path("incremental")))
	}},
	{name: "history", args: "history db/ledger.sqlite --table scan --store none --remote incremental"},
	{name: "pin", args: "pin latest --remote bucket"},
	{name: "pin.failed", args: "pin latest --remote bucket --remote nosuch", code: 10},
	{name: "unpin", args: "unpin latest --remote bucket"},
	{name: "cat", args: "cat latest app/x --remote bucket", code: 64},
	{name: "validate", args: "validate --read-data --remote bucket"},
	{name: "validate.damaged", args: "validate --all --read-data --store none --remote bad", code: 4, setup: func(w *world) {
		w.must("backup", "app", "--app", "app", "--store", "other-state", "--remote", "bad", "--quiet")
		w.flipData("bad")
	}},
	{name: "validate.repaired", args: "validate --repair --store other-state --remote bad", setup: func(w *world) {
		w.check(exec.Command("sh", "-c", "rm $(ls -S '"+w.path("bad/archives")+"'/* | head -1)").Run())
	}},
	{name: "validate.subset", args: "validate --read-data-subset 1/1 --store none --remote bucket"},
	{name: "validate.store", args: "validate --store none --remote foreign", code: 4, setup: func(w *world) {
		w.check(exec.Command("cp", "-r", w.path("bucket"), w.path("foreign")).Run())
		w.write("foreign/recover.sh", "echo not the one\n")
	}},
	{name: "drill", args: "drill --remote bucket --app app --evidence evidence.json"},
	{name: "list.proven", args: "list --remote bucket"},
	{name: "status", args: "status --remote bucket --max-age 26h", code: 3},
	{name: "drill.failed", args: "drill --remote bucket --app app --no-scratch --assert assert.yaml", code: 5, setup: func(w *world) {
		w.write("assert.yaml", "assert:\n  - {file: app/nosuch}\n  - {exec: [./nosuch]}\n")
	}},
	{name: "adopt", args: "adopt old --app app --store adopted", code: 4, setup: func(w *world) {
		w.write("old/snapshots/20260102T030405Z/backup-metadata.json", `{"db_snapshot_path": "/x/20260102T030405Z/db/app.db", "db_size_bytes": 8192}`)
		w.write("old/snapshots/20260102T030405Z/notes.txt", "kept by hand")
		w.write("old/snapshots/20260102_030405/backup-metadata.json", `{"db_snapshot_path": "/x/20260102_030405/db/app.db"}`)
		w.write("old/snapshots/20260103T030405Z/backup-metadata.json", `{"db_snapshot_path": "/x/20260103T030405Z/db/app.db"}`)
		w.mkdir("old/snapshots/20260102T030405Z/db")
		w.mkdir("old/snapshots/20260102_030405/db")
		w.sql("old/snapshots/20260102T030405Z/db/app.db", "CREATE TABLE t(x)")
		w.sql("old/snapshots/20260102_030405/db/app.db", "CREATE TABLE t(y)")
	}},
	{name: "prune", args: "prune --keep-last 2 --store none --remote pruned", setup: func(w *world) {
		w.check(exec.Command("cp", "-r", w.path("bucket"), w.path("pruned")).Run())
	}},
	{name: "prune.undo", args: "prune --undo --store none --remote pruned"},
	{name: "backup.prune", args: "backup app --app app --store prune-state --remote pruned --prune --keep-daily 1 --takeover"},
	{name: "remove", args: "remove 20260105 --store none --remote copied", setup: func(w *world) {
		stores, err := filepath.Abs("testdata/stores")
		w.check(err)
		w.check(exec.Command("cp", "-r", filepath.Join(stores, "incremental", "store"), w.path("copied")).Run())
		w.must("unpin", "20260105", "--store", "none", "--remote", "copied", "--quiet")
	}},
	{name: "recovery-kit", args: "recovery-kit kit"},
	{name: "restore", args: "restore latest --remote bucket --target out"},
	{name: "restore.salvage", args: "restore latest --store none --remote bad --salvage --target salvaged", code: 3},
	{name: "restore.plan", args: "restore latest --remote bucket --app app --in-place --plan", setup: func(w *world) { w.write("app/x", "another"); w.write("app/new", "") }},
	{name: "restore.in_place", args: "restore latest --remote bucket --app app --confirm-service-stopped"},
	{name: "undo", args: "undo --app app --confirm-service-stopped"},
	{name: "config.validate", args: "config validate", setup: configured("app: app\nsources:\n  - {name: app, path: app, exclude: ['*.log'], optional: true}\nremotes:\n  - {name: disk, url: bucket, keep: {daily: 7, yearly: all, within: 2d}}\n" +
		"  - {name: offsite, url: 's3://bucket/app', endpoint: 'https://s3.example.com', region: eu, access_key_id_file: id, secret_access_key_file: key, retry_for: 1h, stall: 30s}\nlocal: {dir: state, keep: 2}\nlimits: {upload: 2MiB, download: 500K, concurrency: 2, memory: 512MiB}\ncompression: better\nbarrier: true\n")},
	{name: "config.show", args: "config show"},
	{name: "config.example", args: "config example"},
	{name: "completion", args: "completion bash"},
	{name: "version", args: "version"},
	{name: "help", args: "help version"},
	{name: "error", args: "restore latest --remote nosuch --store none --target out2", code: 10},
}

// TestDocuments compares what each command writes with --json with testdata/json, and with what docs/json.md says of it.
func TestDocuments(t *testing.T) {
	w := newWorld(t)
	w.check(os.Link(w.path("app/x"), w.path("app/hard")))
	w.check(os.Symlink("x", w.path("app/soft")))
	w.write("app/bad.json", "{")
	sections := jsonSections(t)
	for _, d := range documents {
		t.Run(d.name, func(t *testing.T) {
			w := &world{t: t, dir: w.dir}
			if d.setup != nil {
				d.setup(w)
			}
			cmd := w.command("", nil, append(w.fields(d.args), "--json")...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			var exit *exec.ExitError
			if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if code := cmd.ProcessState.ExitCode(); code != d.code {
				t.Fatalf("exit code %d, want %d: %s", code, d.code, stderr.String())
			}
			var doc any
			dec := json.NewDecoder(&stdout)
			if err := dec.Decode(&doc); err != nil || dec.More() {
				t.Fatalf("not one document: %v", err)
			}
			section := strings.ReplaceAll(strings.TrimSuffix(d.name, filepath.Ext(d.name)), "config", "config "+strings.TrimPrefix(d.name, "config."))
			if _, isError := doc.(map[string]any)["error"]; isError {
				section = "error"
			}
			checkDescribed(t, sections[section], section, doc)
			got := normal(t, w, doc)
			file := filepath.Join("testdata", "json", d.name+".json")
			if *update {
				w.check(os.MkdirAll(filepath.Dir(file), 0o755))
				w.check(os.WriteFile(file, []byte(got), 0o644))
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want, +got; go test -run TestDocuments -update writes it):\n%s", file, diff)
			}
		})
	}
}

// flipData damages the archives of a store that hold files, rather than tables.
func (w *world) flipData(store string) {
	w.t.Helper()
	out, err := w.command("", nil, "show", "--store", "none", "--remote", store, "--json").Output()
	w.check(err)
	var shown struct {
		Head struct{ Roots []struct{ SHA256 string } }
	}
	w.check(json.Unmarshal(out, &shown))
	files, err := filepath.Glob(w.path(store + "/archives/*"))
	w.check(err)
	for _, file := range files {
		if !strings.HasPrefix(filepath.Base(file), shown.Head.Roots[0].SHA256) {
			w.flip(store+"/archives/"+filepath.Base(file), 60)
		}
	}
}

// Every command has a document here, and a section in docs/json.md.
func TestEveryCommandIsDescribed(t *testing.T) {
	sections := jsonSections(t)
	tried := map[string]bool{}
	for _, d := range documents {
		tried[strings.Fields(d.args)[0]], tried[strings.Join(strings.Fields(d.args)[:min(2, len(strings.Fields(d.args)))], " ")] = true, true
	}
	var visit func(path []string, commands []*cli.Command)
	visit = func(path []string, commands []*cli.Command) {
		for _, c := range commands {
			name := strings.Join(append(path[:len(path):len(path)], c.Name), " ")
			if len(c.Subcommands) > 0 {
				visit(append(path, c.Name), c.Subcommands)
				continue
			}
			if !tried[name] {
				t.Errorf("%s has no document in testdata/json", name)
			}
			if sections[name] == nil {
				t.Errorf("%s has no section in docs/json.md", name)
			}
		}
	}
	visit(nil, newApp(testApp(), environ.Env{}).Commands)
}

// jsonSections reads the tables of docs/json.md: of each command, the paths of the fields. One that is described elsewhere ends in "*".
func jsonSections(t *testing.T) map[string]map[string]bool {
	text, err := os.ReadFile("docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]map[string]bool{}
	var now []map[string]bool
	heading, field, quoted := regexp.MustCompile("^## (.*)$"), regexp.MustCompile("^\\| `([^`]+)` \\|(.*)$"), regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if m := heading.FindStringSubmatch(line); m != nil {
			now = nil
			for _, name := range quoted.FindAllStringSubmatch(m[1], -1) {
				sections[name[1]] = map[string]bool{}
				now = append(now, sections[name[1]])
			}
		}
		if m := field.FindStringSubmatch(line); m != nil {
			for _, s := range now {
				s[m[1]] = true
				if strings.Contains(m[2], "(format.md)") {
					s[m[1]+"*"] = true
				}
			}
		}
	}
	return sections
}

// checkDescribed reports each field of a document that its section does not have.
func checkDescribed(t *testing.T, section map[string]bool, name string, doc any) {
	t.Helper()
	missing := map[string]bool{}
	var visit func(path string, v any)
	visit = func(path string, v any) {
		if section[path+"*"] {
			return
		}
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				below := strings.TrimPrefix(path+"."+key, ".")
				if !section[below] {
					missing[below] = true
				}
				visit(below, value)
			}
		case []any:
			for _, item := range v {
				visit(path+"[]", item)
			}
		}
	}
	visit("", doc)
	for _, path := range slices.Sorted(maps.Keys(missing)) {
		t.Errorf("docs/json.md does not say what `%s` is, in the section of %s", path, name)
	}
}

// What differs from run to run, and from machine to machine.
var (
	volatileKeys = []string{"age_seconds", "seconds", "stored_bytes", "new_bytes", "needed_bytes", "freed_bytes", "later_bytes", "user", "group", "mode",
		"commits", "transfers", "total", "roots", "pieces", "level", "consistency", "swap", "free_bytes", "seconds_to_fetch"}
	comeAndGo     = []string{"ms", "skew_us", "pin_ms", "wal_growth", "writer_block_ms", "stats.seconds"} // which are left out when they are 0
	volatilePaths = []string{".record.fetched", ".record.phases[].bytes", ".record.host", ".recovery.bytes", ".places[].recovery.bytes", ".summary", ".pushed[].bytes", ".copied[].bytes", ".frees[].bytes", ".snapshots[].frees[].bytes", ".pulled.bytes", ".head.archives.bytes", ".snapshots[].host", ".head.host.name", ".head.host.os", ".head.host.arch",
		".reports[].findings[].detail", ".reports[].findings[].place", ".reports[].read.bytes", ".reports[].read.of_bytes"}
	volatileText = []struct {
		pattern *regexp.Regexp
		to      string
	}{
		{regexp.MustCompile(`\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{8}`), "SWAP"},
		{regexp.MustCompile(`\d{8}T\d{6}Z`), "STAMP"},
		{regexp.MustCompile(`[0-9a-f]{64}`), "SHA256"},
		{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
		{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "UUID"},
		{regexp.MustCompile(`\d+ s old`), "AGE old"},
		{regexp.MustCompile(`process \d+`), "process PID"},
	}
)

// normal returns a document without what differs from run to run.
func normal(t *testing.T, w *world, doc any) string {
	t.Helper()
	var visit func(path string, v any) any
	visit = func(path string, v any) any {
		key := path[strings.LastIndexByte(path, '.')+1:]
		switch v := v.(type) {
		case map[string]any:
			if key == "consistency" {
				key = ""
			}
			for k := range v {
				if slices.Contains(comeAndGo, k) || slices.Contains(comeAndGo, key+"."+k) {
					delete(v, k)
					continue
				}
				v[k] = visit(path+"."+k, v[k])
			}
		case []any:
			for i := range v {
				v[i] = visit(path+"[]", v[i])
			}
		}
		if slices.Contains(volatileKeys, key) || slices.Contains(volatilePaths, path) {
			return fmt.Sprintf("…%T", v)
		}
		if v, ok := v.(string); ok {
			if key == "help" || key == "script" || key == "example" {
				return fmt.Sprintf("%.20s…", v)
			}
			v = strings.ReplaceAll(v, w.dir, "$W")
			for _, r := range volatileText {
				v = r.pattern.ReplaceAllString(v, r.to)
			}
			return v
		}
		return v
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(visit("", doc)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
