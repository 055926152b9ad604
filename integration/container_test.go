//go:build linux

package integration_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"lifeboat/integration/miniotest"
	"lifeboat/internal/sqlitedb"
)

// The service of the container: it has the database open until it is stopped.
const service = `package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	f, err := os.Open("/data/db/app.db")
	if err != nil {
		panic(err)
	}
	defer f.Close()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
}
`

const composeFile = `services:
  app:
    image: IMAGE
    init: false
    command: ["/bin/service"]
    environment: {LIFEBOAT_STORE: /state, HOME: /tmp, LIFEBOAT_CONFIG: /config/lifeboat.yaml}
    volumes: ["./data:/data", "./state:/state", "./bucket:/bucket", "./config:/config", "./tmp:/tmp"]
    network_mode: none
    labels: ["lifeboat.test"]
`

// The commands of docs/restore.md for the container of the service, run in a real one: a service that has the database open on a volume, and
// a container of the same image with the same volumes, in which lifeboat restores.
func TestInTheContainerOfTheService(t *testing.T) {
	compose, why := miniotest.Compose(t.Context())
	if why != "" {
		t.Skip("NOT CHECKED: a restore in the container of the service: " + why)
	}
	if os.Geteuid() != 0 {
		t.Skip("NOT CHECKED: a restore in the container of the service: what root writes there could not be read here")
	}
	dir, image := t.TempDir(), "lifeboat-test-"+uuid.NewString()[:8]
	static := append(os.Environ(), "CGO_ENABLED=0")
	command := func(env []string, name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = dir, env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	write := func(name, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"data/db", "state", "bucket", "tmp", "image"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	write("service.go", service)
	write("image/Dockerfile", "FROM scratch\nCOPY lifeboat service /bin/\nENV PATH=/bin\n")
	write("compose.yaml", strings.ReplaceAll(composeFile, "IMAGE", image))
	write("config/lifeboat.yaml", "app: app\nsources: [{name: data, path: /data}]\nremotes: [{name: offsite, url: /bucket}]\n")
	write("data/registry.json", `{"items": 1}`)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	command(static, "go", "build", "-C", here, "-o", filepath.Join(dir, "image/lifeboat"), "lifeboat")
	command(static, "go", "build", "-o", "image/service", "service.go")
	command(nil, "docker", "build", "--quiet", "--tag", image, "image")
	env := append(os.Environ(), "COMPOSE_PROJECT_NAME="+image)
	inCompose := func(args ...string) string {
		t.Helper()
		return command(env, compose[0], append(compose[1:len(compose):len(compose)], args...)...)
	}
	t.Cleanup(func() {
		inCompose("down", "--volumes", "--timeout", "1")
		command(nil, "docker", "image", "rm", "--force", image)
	})
	database := filepath.Join(dir, "data/db/app.db")
	execSQL := func(statements string) {
		t.Helper()
		db, err := sqlitedb.OpenApp(database)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(statements); err != nil {
			t.Fatal(err)
		}
	}
	execSQL("CREATE TABLE t(x); INSERT INTO t VALUES('baseline')")

	inCompose("up", "-d", "app")
	inCompose("run", "--rm", "app", "lifeboat", "backup")
	execSQL("INSERT INTO t VALUES('marker')")
	write("data/registry.json", `{"items": 2}`)
	for _, line := range composeLines(t) {
		t.Logf("$ %s\n%s", line, inCompose(strings.Fields(line)[2:]...))
	}
	if got := readFile(t, filepath.Join(dir, "data/registry.json")); got != `{"items": 1}` {
		t.Errorf("the registry is %s", got)
	}
	db, err := sqlitedb.OpenApp(database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var rows string
	if err := db.QueryRow("SELECT group_concat(x) FROM t").Scan(&rows); err != nil || rows != "baseline" {
		t.Errorf("the database has %q, %v", rows, err)
	}
	if up := inCompose("ps", "-q", "app"); strings.TrimSpace(up) == "" {
		t.Error("the service does not run after it")
	}
	// The next container knows what to take back.
	inCompose("stop", "--timeout", "1", "app")
	inCompose("run", "--rm", "app", "lifeboat", "undo", "--confirm-service-stopped")
	if got := readFile(t, filepath.Join(dir, "data/registry.json")); got != `{"items": 2}` {
		t.Errorf("after undo, the registry is %s", got)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// composeLines returns the commands for a container in docs/restore.md.
func composeLines(t *testing.T) (lines []string) {
	t.Helper()
	for line := range strings.Lines(readFile(t, "../docs/restore.md")) {
		if strings.HasPrefix(line, "docker compose ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	if len(lines) != 3 {
		t.Fatalf("docs/restore.md has %d commands for a container, want 3", len(lines))
	}
	return lines
}
