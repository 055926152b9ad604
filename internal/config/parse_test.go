package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/config"
)

// root is an absolute directory whose name is the same in every run, on any system.
var root = func() string {
	abs, err := filepath.Abs(string(filepath.Separator))
	if err != nil {
		panic(err)
	}
	return abs
}()

func at(elem ...string) string { return filepath.Join(append([]string{root}, elem...)...) }

func parse(text string) (*config.Config, error) {
	return config.Parse(at("etc", "lifeboat.yaml"), []byte(text))
}

func TestParse(t *testing.T) {
	got, err := parse(`
app: vaultwarden
sources:
  - {name: data, path: /opt/vw/data, exclude: [icon_cache/**, "*.log"], optional: false}
  - path: "../opt/My App/.Config.JSON"
    optional: true
remotes:
  - name: b2
    url: s3://bucket/vw?region=eu-1
    endpoint: https://s3.example.com:9000/
    region: ""
    access_key_id_file: id
    secret_access_key_file: /run/secret
    retry_for: 1h30m
    stall: 90s
    keep: {last: 3, hourly: 24, daily: 7, weekly: 4, monthly: 12, yearly: all, within: 14d}
  - {url: file:///mnt/disk/vw, keep: {within: 36h}}
  - url: backups
local: {dir: store, keep: 3, spool_max: 10GiB, max_pin: 90m, max_block: 500ms}
limits: {upload: 1.5MiB, download: 10M/s, concurrency: 2, memory: 96 MiB}
compression: off
barrier: true
hooks: {before: [pause], after: [resume, "rm -f x"], on_error: ["mail root"], timeout: 90s, lock_file: app.lock}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Config{
		File: at("etc", "lifeboat.yaml"),
		App:  "vaultwarden",
		Sources: []config.Source{
			{Name: "data", Path: at("opt", "vw", "data"), Exclude: []string{"icon_cache/**", "*.log"}},
			{Name: "config.json", Path: at("opt", "My App", ".Config.JSON"), Optional: true},
		},
		Remotes: []config.Remote{
			{
				Name: "b2", URL: "s3://bucket/vw?region=eu-1", Endpoint: "https://s3.example.com:9000/",
				AccessKeyIDFile: at("etc", "id"), SecretAccessKeyFile: at("run", "secret"),
				RetryFor: config.Duration(90 * time.Minute), Stall: config.Duration(90 * time.Second),
				Keep: config.Keep{Last: 3, Hourly: 24, Daily: 7, Weekly: 4, Monthly: 12, Yearly: config.All, Within: config.Duration(14 * 24 * time.Hour)},
			},
			{Name: "vw", URL: "file:///mnt/disk/vw", Keep: config.Keep{Within: config.Duration(36 * time.Hour)}},
			{Name: "backups", URL: at("etc", "backups")},
		},
		Local:       config.Local{Dir: at("etc", "store"), Keep: 3, SpoolMax: 10 << 30, MaxPin: config.Duration(90 * time.Minute), MaxBlock: config.Duration(time.Second / 2), MaxWALGrowth: 1 << 30},
		Limits:      config.Limits{Upload: 3 << 19, Download: 10_000_000, Concurrency: 2, Memory: 96 << 20},
		Compression: config.CompressOff,
		Barrier:     true,
		Hooks:       config.Hooks{Before: []string{"pause"}, After: []string{"resume", "rm -f x"}, OnError: []string{"mail root"}, Timeout: config.Duration(90 * time.Second), LockFile: at("etc", "app.lock")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}
}

func TestParseNothing(t *testing.T) {
	for _, text := range []string{"", "\n\n", "# only a comment\n", "---\n", "{}\n", "local: {}\n"} {
		got, err := parse(text)
		if err != nil {
			t.Errorf("Parse(%q): %v", text, err)
			continue
		}
		want := config.Default()
		want.File = at("etc", "lifeboat.yaml")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Parse(%q) (-want +got):\n%s", text, diff)
		}
	}
	if keep := config.Default().Local.Keep; keep != 1 {
		t.Errorf("by default %d snapshots are kept, want 1", keep)
	}
}

// Each line of want is a problem; together they are all of them.
func TestProblems(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"unknown key", "app: x\nsorces: []\n", []string{`2:1: unknown key "sorces"; did you mean "sources"?`}},
		{"swapped letters", "loacl: {keep: 1}\n", []string{`1:1: unknown key "loacl"; did you mean "local"?`}},
		{"swapped letters of a short key", "remotes: [{url: /b, ulr: x}]\n", []string{`1:21: unknown key "ulr"; did you mean "url"?`}},
		{"hyphens", "remotes:\n- url: s3://bkt\n  Access-Key-ID-File: x\n", []string{`3:3: unknown key "Access-Key-ID-File"; did you mean "access_key_id_file"?`}},
		{"nothing alike", "backup: {}\n", []string{`1:1: unknown key "backup"; there are app, sources, remotes, local, limits, compression, barrier, hooks, drill`}},
		{"policies", "remotes:\n- {url: /a, keep: {daily: -1, weekly: 1.5, monthly: x, yearly: 2000000, within: 0s}}\n- {url: /b, keep: 7}\n- {url: /c, keep: {}}\n- {url: /d, keep: {daily: 0, within: 2 days}}\n" +
			"- {url: /e, keep: {dayly: 7, last: 07}}\n- {url: /f, keep: {daily: 0}}\n- {url: /g, keep: {within: 99999d, hourly: [1]}}\n", []string{
			`2:27: daily: "-1": want how many snapshots to keep, or all`,
			`2:39: weekly: "1.5": want how many snapshots to keep, or all`,
			`2:53: monthly: "x": want how many snapshots to keep, or all`,
			`2:64: yearly: "2000000": want how many snapshots to keep, or all`,
			`2:81: within: "0s": want a time such as 36h, 14d or 8w`,
			`3:19: keep is a number, want keys and values`,
			`4:19: keep has no rule that keeps anything; give it one, such as daily: 7, or leave it out`,
			`5:38: within: "2 days": want a time such as 36h, 14d or 8w`,
			`6:20: unknown key "dayly"; did you mean "daily"?`,
			`6:36: last: "07": want how many snapshots to keep, or all`,
			`7:19: keep has no rule that keeps anything; give it one, such as daily: 7, or leave it out`,
			`8:28: within: "99999d": want a time such as 36h, 14d or 8w`,
			`8:44: hourly is a list, want how many snapshots to keep, or all`}},
		{"policy of the local store", "local: {keep: {}}\n", []string{`1:15: keep has no rule that keeps anything; give it one, such as daily: 7, or leave it out`}},
		{"duplicate key", "app: a\nlocal: {keep: 1}\napp: b\n", []string{`3:1: key "app" is already at line 1`}},
		{"duplicate unknown key", "x: a\nx: b\n", []string{
			`1:1: unknown key "x"; there are app, sources, remotes, local, limits, compression, barrier, hooks, drill`, `2:1: key "x" is already at line 1`}},
		{"all at once, in order", "app: A b\nsources:\n- pth: /a\n- {path: /b, optional: yes}\nlocal:\n  keep: many\n", []string{
			`1:6: application name "A b": want 1 to 64 of a-z, 0-9, '.', '_' and '-', with a letter or digit first`,
			`3:3: unknown key "pth"; did you mean "path"?`,
			`3:3: path is missing`,
			`4:24: optional is text, want true or false`,
			`6:9: keep is text, want a whole number, all, or rules such as {daily: 7}`}},
		{"number for text", "app: 123\n", []string{"1:6: app is a number, want text: put it in quotes"}},
		{"date for text", "app: 2024-01-01\n", []string{"1:6: app is a date, want text: put it in quotes"}},
		{"bool for text", "sources: [{path: true}]\n", []string{"1:18: path is true or false, want text: put it in quotes"}},
		{"list for text", "app: [a]\n", []string{"1:6: app is a list, want text"}},
		{"text for list", "sources: /data\n", []string{"1:10: sources is text, want a list"}},
		{"group for list", "remotes: {url: 's3://bkt'}\n", []string{"1:10: remotes is a group of keys, want a list"}},
		{"text for group", "sources: [/data]\n", []string{"1:11: a source is text, want keys and values"}},
		{"text for file", "hello\n", []string{"1:1: the file is text, want keys and values"}},
		{"list for file", "- app: x\n", []string{"1:1: the file is a list, want keys and values"}},
		{"null", "app:\nsources: ~\n", []string{
			"1:5: app has no value: give one or leave the key out", "2:10: sources has no value: give one or leave the key out"}},
		{"null item", "sources:\n-\n", []string{"2:2: an item of sources has no value: give one or leave the key out"}},
		{"unknown tag", "app: !thing x\n", []string{"1:6: app is of another type, want text: put it in quotes"}},
		{"control character", "sources: [{path: \"a\\0b\"}]\n", []string{"1:18: path has a control character"}},
		{"key that is a list", "? [a]\n: b\n", []string{"1:3: a key of the file is not a plain word"}},
		{"alias", "app: &x a\nlocal: {dir: *x}\n", []string{
			"1:6: app: anchors and aliases (& and *) are not supported", "2:14: dir: anchors and aliases (& and *) are not supported"}},
		{"no unit of time", "remotes: [{url: s3://bkt, retry_for: 15}]\n", []string{`1:38: retry_for: "15": want a time such as 30s, 15m or 1h`}},
		{"a negative time", "remotes: [{url: s3://bkt, retry_for: -1m}]\n", []string{`1:38: retry_for: "-1m": want a time such as 30s, 15m or 1h`}},
		{"no stall", "remotes: [{url: s3://bkt, stall: 0s}]\n", []string{`1:34: stall: want a time such as 30s; without a limit, a transfer that hangs would hang for ever`}},
		{"waiting for a directory", "remotes: [{url: /b, retry_for: 1m, stall: 1m}]\n", []string{`1:32: retry_for is only for s3:// remotes`, `1:43: stall is only for s3:// remotes`}},
		{"limits", "limits: {upload: 10Mbit, download: 5, memory: lots, concurrency: 0}\n", []string{
			`1:18: upload: "10Mbit": want bytes per second, such as 2MiB or 500K`,
			`1:36: download: 5 is 5 bytes per second, too little to get on: give a unit, such as 5K`,
			`1:47: memory: "lots": want a size such as 512MiB or 10G`,
			`1:66: concurrency: "0": want how many archives are on their way at once, from 1 to 64`}},
		{"compression of no kind", "compression: 19\n", []string{`1:14: compression: "19": want fastest, default, better or off`}},
		{"compression that is a switch", "compression: on\n", []string{`1:14: compression: "on": want fastest, default, better or off`}},
		{"too many at once", "limits: {concurrency: 65}\n", []string{`1:23: concurrency: "65": want how many archives are on their way at once, from 1 to 64`}},
		{"merge", "<<: {app: x}\n", []string{`1:1: unknown key "<<"; there are app, sources, remotes, local, limits, compression, barrier, hooks, drill`}},
		{"a spool without a unit", "local: {spool_max: 10}\n", []string{"1:20: spool_max: 10: want 8MiB or more"}},
		{"barrier of some kind", "barrier: sometimes\n", []string{"1:10: barrier is text, want true or false"}},
		{"no lock at all", "local: {max_block: 0s}\n", []string{"1:20: max_block: 0s: want more than nothing: a database cannot be read without it"}},
		{"no pin at all", "local: {max_pin: 0s}\n", []string{"1:18: max_pin: 0s: want more than nothing: a database cannot be read without it"}},
		{"no growth at all", "local: {max_wal_growth: 0}\n", []string{"1:25: max_wal_growth: 0: want more than nothing: a database cannot be read without it"}},
		{"negative keep", "local: {keep: -1}\n", []string{"1:15: keep: want a whole number from 0 on, in decimal digits"}},
		{"fractional keep", "local: {keep: 1.5}\n", []string{"1:15: keep is a number, want a whole number, all, or rules such as {daily: 7}"}},
		{"octal keep", "local: {keep: 0x10}\n", []string{"1:15: keep: want a whole number from 0 on, in decimal digits"}},
		{"huge keep", "local: {keep: 3000000000}\n", []string{"1:15: keep: want a whole number from 0 on, in decimal digits"}},
		{"empty path", "sources: [{path: ''}]\n", []string{"1:18: path is empty"}},
		{"empty pattern", "sources: [{path: /a, exclude: [x, '']}]\n", []string{"1:35: a pattern of exclude is empty"}},
		{"home", "sources: [{path: ~/data}]\n", []string{"1:18: ~ is not expanded here; write the whole path"}},
		{"bad name", "sources: [{path: /a, name: -a}]\n", []string{
			`1:28: source name "-a": want 1 to 64 of a-z, 0-9, '.', '_' and '-', with a letter or digit first`}},
		{"no name", "sources: [{path: /}]\n", []string{"1:18: the path gives no name; add name: to this source"}},
		{"two of a name", "sources:\n- path: /a/data\n- path: /b/Data\n", []string{
			`3:3: a second source is named "data"; add name: with another name to one of them`}},
		{"two remotes of a name", "remotes:\n- url: s3://bkt/1\n- {url: /b, name: bkt}\n", []string{
			`3:19: a second remote is named "bkt"; add name: with another name to one of them`}},
		{"no url", "remotes: [{name: x}]\n", []string{"1:11: url is missing"}},
		{"empty url", "remotes: [{url: ''}]\n", []string{"1:17: url is empty"}},
		{"half a key pair", "remotes: [{url: 's3://bkt', access_key_id_file: x}]\n", []string{
			"1:49: access_key_id_file without secret_access_key_file; give both or neither"}},
		{"endpoint twice", "remotes: [{url: 's3://bkt?endpoint=http://a', endpoint: http://a, region: x}]\n", []string{
			"1:57: the endpoint is given here and in the url; keep one"}},
		{"region twice", "remotes: [{url: 's3://bkt?region=x', region: x}]\n", []string{
			"1:46: the region is given here and in the url; keep one"}},
		{"keys twice", "remotes: [{url: 's3://bkt', profile: x, access_key_id_file: a, secret_access_key_file: b}]\n", []string{
			"1:38: profile and key files are both given; keep one"}},
		{"bad name of a remote", "remotes: [{url: /b, name: B}]\n", []string{
			`1:27: remote name "B": want 1 to 64 of a-z, 0-9, '.', '_' and '-', with a letter or digit first`}},
		{"S3 setting on a directory", "remotes: [{url: /b, region: x}]\n", []string{"1:29: region is only for s3:// remotes"}},
		{"second document", "app: a\n---\napp: b\n", []string{"2:1: a second document begins here; want one"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parse(tt.text)
			if err == nil {
				t.Fatalf("Parse(%q) = %+v, want problems", tt.text, got)
			}
			want := at("etc", "lifeboat.yaml") + ":" + strings.Join(tt.want, "\n"+at("etc", "lifeboat.yaml")+":")
			if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", tt.text, diff)
			}
		})
	}
}

// The YAML package's own line numbers are off in ways that depend on the error; these are corrected.
func TestSyntaxErrors(t *testing.T) {
	for _, tt := range []struct {
		text string
		line int
	}{
		{"app: b\n\tc: d\n", 2},
		{"app: b\nc: d\n e: f\n", 3},
		{"app: b: c\n", 1},
		{"app: @b\n", 1},
		{"x: 1\nsources:\n  - {name: a, path: b\nremotes: []\n", 3},
		{"app: [1,2\n", 1},
		{"x:\n  - a\n y: b\n", 3},
		{"app: b\nc\nd: e\n", 2},
		{"app: \x00", 1},
		{"app: a\nx: \xff", 2},
		{"app: a\n\xff", 2},
		{"\xff\xfea\x00", 1},
		{"app: a\n}\n", 2},
		{"app: a\n---\n}\n", 3},
		{"{}}\n", 1},
	} {
		_, err := parse(tt.text)
		var e *config.Error
		if !asError(err, &e) || len(e.Problems) != 1 {
			t.Errorf("Parse(%q) = %v, want one problem", tt.text, err)
			continue
		}
		if e.Problems[0].Line != tt.line {
			t.Errorf("Parse(%q) = %v, want line %d", tt.text, err, tt.line)
		}
	}
	if _, err := parse("app: *x\n"); err == nil || !strings.Contains(err.Error(), "not supported") {
		t.Errorf("Parse of an unknown alias = %v", err)
	}
}

func TestTooLong(t *testing.T) {
	fits := "app: x\n#" + strings.Repeat("x", config.MaxFile-9) + "\n"
	if _, err := parse(fits); err != nil {
		t.Errorf("Parse of %d bytes: %v", len(fits), err)
	}
	if _, err := parse(fits + "\n"); err == nil {
		t.Errorf("Parse of %d bytes succeeded", len(fits)+1)
	}
}

func TestExample(t *testing.T) {
	c, err := parse(config.Example())
	if err != nil {
		t.Fatal(err)
	}
	if c.App == "" || len(c.Sources) == 0 || len(c.Remotes) == 0 {
		t.Errorf("the example says %+v", c)
	}
	// What the example comments out must be right as well.
	var live []string
	for line := range strings.Lines(config.Example()) {
		for _, key := range []string{"profile", "access_key_id_file", "secret_access_key_file", "dir", "retry_for", "stall", "last", "hourly", "monthly", "yearly", "limits", "  upload", "  download", "  concurrency", "  memory", "compression", "barrier", "hooks", "  before", "  after", "  on_error", "  timeout", "  lock_file"} {
			line = strings.Replace(line, "# "+key+":\n", key+":\n", 1)
			line = strings.Replace(line, "# "+key+": ", key+": ", 1)
		}
		if !strings.Contains(line, "profile: ") { // excludes key files
			live = append(live, line)
		}
	}
	c, err = parse(strings.Join(live, ""))
	if err != nil {
		t.Fatal(err)
	}
	if c.Local.Dir == "" || c.Remotes[0].AccessKeyIDFile == "" || c.Remotes[0].RetryFor == 0 || c.Remotes[0].Keep.Yearly != config.All || c.Limits.Memory == 0 || c.Compression == "" || !c.Barrier || len(c.Hooks.OnError) == 0 || c.Hooks.LockFile == "" {
		t.Errorf("the example with its comments removed says %+v", c)
	}
}

// What the local store keeps is a number, all, or rules.
func TestLocalKeep(t *testing.T) {
	for text, want := range map[string]config.Local{
		"0": {}, "3": {Keep: 3}, "all": {Keep: -1}, "{daily: 7}": {Keep: -1, Rules: config.Keep{Daily: 7}},
	} {
		got, err := parse("local: {keep: " + text + "}\n")
		if err != nil {
			t.Errorf("keep: %s: %v", text, err)
			continue
		}
		if got.Local.Keep != want.Keep || got.Local.Rules != want.Rules {
			t.Errorf("keep: %s is %+v", text, got.Local)
		}
		shown, err := got.Show()
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(string(shown))
		if diff := cmp.Diff(got, again); err != nil || diff != "" {
			t.Errorf("keep: %s is shown as\n%s(%v)\n%s", text, shown, err, diff)
		}
	}
}

func TestShowSaysTheSame(t *testing.T) {
	text, err := os.ReadFile("example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want, err := parse(string(text) + "\n")
	if err != nil {
		t.Fatal(err)
	}
	want.Sources[0].Path = at("with: colon", "#x", "007")
	want.Sources[0].Name = "007"
	want.Local.Keep, want.Local.MaxBlock = 0, config.Duration(300*time.Millisecond)
	want.Hooks = config.Hooks{Before: []string{"echo 'a: b' # c"}, OnError: []string{"x", "y"}, Timeout: config.Duration(time.Minute), LockFile: at("app.lock")}
	want.Barrier = true
	want.Compression = config.CompressOff // which other readers of YAML take for false
	want.Limits = config.Limits{Upload: 1_234_567, Download: 1 << 20, Concurrency: 7, Memory: 99_999_999}
	want.Remotes[1].Keep = config.Keep{Last: config.All, Within: config.Duration(90 * time.Minute)}
	want.Remotes[0].RetryFor, want.Remotes[0].Stall = -1, config.Duration(1500*time.Millisecond)
	shown, err := want.Show()
	if err != nil {
		t.Fatal(err)
	}
	got, err := parse(string(shown))
	if err != nil {
		t.Fatalf("Parse of what Show wrote: %v\n%s", err, shown)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after Show and Parse (-want +got):\n%s", diff)
	}
}
