//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// bucket is the remote of the runbooks, which is a directory here.
const bucket = "s3://my-bucket/app"

// shellBlocks finds the commands in a text.
var shellBlocks = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// The service of the runbooks: a process that has the database open until it is stopped. docker compose run is run without a container
// here; TestInTheContainerOfTheService in integration runs those lines in a real one.
const shims = `
service() {
	case $1 in
	start) sleep 600 < SRV/data/db/app.db & echo $! > BIN/pid ;;
	stop) kill "$(cat BIN/pid)"; wait "$(cat BIN/pid)" 2>/dev/null || true ;;
	esac
}
systemctl() { service "$1"; }
docker() {
	case "$*" in
	"compose stop app") service stop ;;
	"compose up -d app") service start ;;
	"compose run --rm app lifeboat "*) shift 4; "$@" ;;
	*) echo "docker $*?" >&2; return 1 ;;
	esac
}
trap 'service stop' EXIT
`

// Every command of the runbooks is run, in order, on an application that has a process at work on it.
func TestRunbooks(t *testing.T) {
	for _, tool := range []string{"bash", "sqlite3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("the commands of the runbooks need %s: %v", tool, err)
		}
	}
	for name, least := range map[string]int{"restore.md": 20, "drill.md": 22} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			srv, bin := filepath.Join(dir, "srv"), filepath.Join(dir, "bin")
			prepareApp(t, srv, bin, filepath.Join(dir, "backup"))
			text, err := os.ReadFile(filepath.Join("docs", name))
			if err != nil {
				t.Fatal(err)
			}
			script := "set -eu -o pipefail\n" + shims + "service start\n"
			commands := 0
			for _, block := range shellBlocks.FindAllStringSubmatch(string(text), -1) {
				inDocument := false
				for line := range strings.Lines(block[1]) {
					if inDocument {
						script += line
						inDocument = line != "END\n"
						continue
					}
					inDocument = strings.HasSuffix(line, "<<'END'\n")
					commands++
					line = strings.TrimSuffix(line, "\n")
					script += fmt.Sprintf("echo '$ %s'\n%s\n", strings.ReplaceAll(line, "'", `'\''`), line)
				}
			}
			if commands < least {
				t.Errorf("only %d commands were found", commands)
			}
			script += "echo all of them\n"
			script = strings.NewReplacer("/srv/app", srv, "SRV", srv, "BIN", bin, bucket, filepath.Join(dir, "backup"), "/tmp/", dir+"/tmp-").Replace(script)
			cmd := exec.Command("bash", "-c", script)
			cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+filepath.Join(dir, "home"),
				"STATE_DIRECTORY="+filepath.Join(dir, "state"), "TZ=UTC")
			out, err := cmd.CombinedOutput()
			if err != nil || !bytes.HasSuffix(out, []byte("all of them\n")) {
				t.Fatalf("%v:\n%s", err, out)
			}
			t.Logf("%d commands were run", commands)
		})
	}
}

// prepareApp makes the application of the runbooks, and the program where a shell finds it.
func prepareApp(t *testing.T, srv, bin, backup string) {
	t.Helper()
	for _, dir := range []string{filepath.Join(srv, "data/chroma/0f6d"), filepath.Join(srv, "data/db"), filepath.Join(srv, "config"), bin, backup} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(bin, "lifeboat"))
	}
	if err != nil {
		t.Fatal(err)
	}
	conf, err := os.ReadFile("docs/examples/app.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"lifeboat.yaml":                    strings.NewReplacer("/srv/app", srv, bucket, backup, "region:", "# region:").Replace(string(conf)),
		"config/projects.json":             `{"items": ["a", "b"]}`,
		"data/chroma/0f6d/data_level0.bin": strings.Repeat("v", 5000),
	} {
		if err := os.WriteFile(filepath.Join(srv, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, db := range []string{"db/app.db", "chroma/chroma.sqlite3"} {
		out, err := exec.Command("sqlite3", filepath.Join(srv, "data", db),
			"PRAGMA journal_mode=wal; CREATE TABLE events (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO events (name) VALUES ('one'), ('two'), ('three')").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}
