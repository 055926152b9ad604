package importrules_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A listed package is one line of `go list -json`.
type listed struct {
	ImportPath, Name, Dir             string
	GoFiles, CgoFiles, IgnoredGoFiles []string // the last: of other platforms
	Deps                              []string
}

// list returns the packages of this module; a nested module is not one of them.
func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Dir,GoFiles,CgoFiles,IgnoredGoFiles,Deps", "./...")
	cmd.Dir = filepath.Join("..", "..")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var packages []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// watch reads every directory of the tree, so that `go test` sees a file that was added and does not answer
// from its cache: what go list reads it does not see.
func watch(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Every file of every package keeps the rules, those of other platforms too.
func TestRules(t *testing.T) {
	watch(t)
	files := 0
	for _, p := range list(t) {
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.IgnoredGoFiles) {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			files++
			s, err := parse(p.ImportPath, filepath.Join(p.Dir, name), nil)
			if err != nil {
				t.Error(err)
				continue
			}
			for _, b := range broken(s) {
				t.Error(b)
			}
		}
		for _, b := range brokenBelow(p) {
			t.Error(b)
		}
		if p.Name == "main" && !program(p.ImportPath) {
			t.Errorf("%s is a program that the rules do not know", p.ImportPath)
		}
	}
	if files == 0 {
		t.Error("no file was looked at")
	}
}

// brokenBelow returns what a package reaches through others though a rule forbids it.
func brokenBelow(p listed) []string {
	var out []string
	for _, r := range importRules {
		if !r.deep || !r.who(p.ImportPath) {
			continue
		}
		for _, d := range p.Deps {
			if r.what(d) {
				out = append(out, fmt.Sprintf("%s reaches %s: %s", p.ImportPath, d, r.reason))
			}
		}
	}
	return out
}

// Each rule is broken here once, and must say so with its own reason; and what is allowed must pass.
func TestRulesCanFail(t *testing.T) {
	tests := []struct{ pkg, text, want string }{
		{"lifeboat/manifest", `import "lifeboat/internal/durable"`, "manifest is the data model"},
		{"lifeboat/manifest", `import "github.com/google/uuid"`, "manifest is the data model"},
		{"lifeboat/manifest", `import "encoding/json"`, ""},
		{"lifeboat/archive", `import "net/http"`, "archive turns bytes"},
		{"lifeboat/archive", `import "lifeboat/manifest"`, ""},
		{"lifeboat/remote", `import "lifeboat/manifest"`, "remote moves names and bytes"},
		{"lifeboat/remote", `import "lifeboat/internal/durable"`, ""},
		{"lifeboat/remote/remotetest", `import "lifeboat/remote"; import "testing"`, ""},
		{"lifeboat/localstore", `import "lifeboat/snapshot"`, "the direction is main"},
		{"lifeboat/snapshot", `import "lifeboat/localstore"`, ""},
		{"lifeboat/internal/sqlitedb", `import "lifeboat/manifest"`, "wrap one power"},
		{"lifeboat/drill", `import "lifeboat"`, "not a library"},
		{"lifeboat/snapshot", `import _ "modernc.org/sqlite"`, "how a live database may be opened"},
		{"lifeboat/internal/sqlitedb", `import _ "modernc.org/sqlite"`, ""},
		{"lifeboat/transfer", `import "github.com/minio/minio-go/v7"`, "only remote speaks S3"},
		{"lifeboat/integration/miniotest", `import "github.com/minio/minio-go/v7"`, ""},
		{"lifeboat/archive", `import "github.com/klauspost/compress/zstd"`, "internal/zst"},
		{"lifeboat/restore", `import "github.com/urfave/cli/v2"`, "know of flags"},
		{"lifeboat", `import "github.com/urfave/cli/v2"; func f() { os.Exit(1) }`, ""},
		{"lifeboat/restore", `import "log"`, "only main prints"},
		{"lifeboat/restore", `import "testing"`, "become part of the program"},
		{"lifeboat/restore", `import "lifeboat/integration/miniotest"`, "become part of the program"},

		{"lifeboat/restore", `import "os"; var f = os.Rename`, "the order of fsync and rename"},
		{"lifeboat/restore", `import sys "os"; func f() { sys.Rename("a", "b") }`, "the order of fsync and rename"},
		{"lifeboat/restore", `import "os"; func f(r *os.Root) { r.Rename("a", "b") }`, "the order of fsync and rename"},
		{"lifeboat/restore", `import "os"; func f(f *os.File) { f.Sync() }`, "the order of fsync and rename"},
		{"lifeboat/restore", `import "os"; func f(os *os.File) { os.Sync() }`, "the order of fsync and rename"},
		{"lifeboat/restore", `import "golang.org/x/sys/unix"; func f() { unix.Fsync(3) }`, "the order of fsync and rename"},
		{"lifeboat/restore", `import "lifeboat/internal/durable"; func f() { durable.Rename("a", "b"); durable.Sync(nil) }`, ""},
		{"lifeboat/internal/durable", `import "os"; func f(f *os.File) { f.Sync() }`, ""},
		{"lifeboat/restore", `import "os"; func f() { os.Exit(1) }`, "only main exits"},
		{"lifeboat/restore", `import "fmt"; func f() { fmt.Println() }`, "standard output is one document"},
		{"lifeboat/restore", `func f() { println() }`, "standard output is one document"},
		{"lifeboat/restore", `import ("fmt"; "os"); func f() { fmt.Fprintln(os.Stderr) }`, "--quiet and --json"},
		{"lifeboat/integration/miniotest", `import "os"; var w = os.Stderr`, ""},
		{"lifeboat", `func init() {}`, "behind the reader's back"},
		{"lifeboat/restore", `type t struct{}; func (t) init() {}; func f(print func()) { print(); t{}.init() }`, ""},
	}
	shown := map[string]bool{}
	for _, tt := range tests {
		s, err := parse(tt.pkg, "x.go", "package x\n"+tt.text)
		if err != nil {
			t.Fatal(err)
		}
		got := broken(s)
		if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) == 0 || !strings.Contains(got[0], tt.want)) {
			t.Errorf("%s, %s\n  broken: %q\n  want:   %q", tt.pkg, tt.text, got, tt.want)
		}
		for _, r := range importRules {
			shown[r.reason] = shown[r.reason] || len(got) > 0 && strings.HasSuffix(got[0], r.reason)
		}
		for _, r := range useRules {
			shown[r.reason] = shown[r.reason] || len(got) > 0 && strings.HasSuffix(got[0], r.reason)
		}
	}
	for reason, ok := range shown {
		if !ok {
			t.Errorf("no example breaks the rule: %s", reason)
		}
	}
	below := brokenBelow(listed{ImportPath: "lifeboat/archive", Deps: []string{"io", "net"}})
	if len(below) != 1 || !strings.Contains(below[0], "archive turns bytes") {
		t.Errorf("archive that reaches net: %q", below)
	}
}
