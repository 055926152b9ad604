package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"lifeboat/internal/sampleapp"
	"lifeboat/internal/sqlitedb"
	"lifeboat/localstore"
)

// exits runs a program that must end with an exit code: exits CODE PROGRAM ARG...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// find returns what is at a path such as snapshots.0.state in the one JSON document on standard output.
func findJSON(ts *testscript.TestScript, path string) (value any, ok bool) {
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	dec.UseNumber()
	if err := dec.Decode(&value); err != nil {
		ts.Fatalf("standard output is no JSON: %v", err)
	}
	if err := dec.Decode(new(any)); err != io.EOF {
		ts.Fatalf("there is more than one document on standard output: %v", err)
	}
	for key := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value, ok = v[key]
		case []any:
			i, err := strconv.Atoi(key)
			if key == "len" {
				value, ok = json.Number(strconv.Itoa(len(v))), true
			} else if ok = err == nil && i < len(v); ok {
				value = v[i]
			}
		default:
			ok = false
		}
		if !ok {
			return nil, false
		}
	}
	return value, true
}

// checkJSON looks into the document on standard output: json PATH [VALUE]. With !, PATH must not be there.
func checkJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: json PATH [VALUE]")
	}
	value, ok := findJSON(ts, args[0])
	switch {
	case ok == neg:
		ts.Fatalf("%s is there: %v; want %v", args[0], ok, !neg)
	case !neg && len(args) == 2 && fmt.Sprint(value) != args[1]:
		ts.Fatalf("%s is %v, want %s", args[0], value, args[1])
	}
}

// capture keeps a value of the document on standard output in a variable: capture NAME PATH.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	value, ok := findJSON(ts, args[1])
	if !ok {
		ts.Fatalf("there is no %s", args[1])
	}
	ts.Setenv(args[0], fmt.Sprint(value))
}

// write makes a file of which the name, the content or both need quoting as in Go: write NAME CONTENT.
func write(ts *testscript.TestScript, neg bool, args []string) {
	name, content := unquote(ts, args[0]), unquote(ts, args[1])
	path := ts.MkAbs(filepath.FromSlash(name))
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
	ts.Check(os.WriteFile(path, []byte(content), 0o644))
}

func unquote(ts *testscript.TestScript, s string) string {
	text, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
	ts.Check(err)
	return text
}

// flip changes one byte of every file that a pattern fits: flip PATTERN OFFSET.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	files := glob(ts, args[0])
	off, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("no file fits %s", args[0])
	}
	for _, file := range files {
		f, err := os.OpenFile(file, os.O_RDWR, 0)
		ts.Check(err)
		var b [1]byte
		_, err = f.ReadAt(b[:], off)
		ts.Check(err)
		b[0] ^= 0x40
		_, err = f.WriteAt(b[:], off)
		ts.Check(err)
		ts.Check(f.Close())
	}
}

// truncate cuts every file that a pattern fits: truncate PATTERN SIZE.
func truncate(ts *testscript.TestScript, neg bool, args []string) {
	size, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	for _, file := range glob(ts, args[0]) {
		ts.Check(os.Truncate(file, size))
	}
}

func glob(ts *testscript.TestScript, pattern string) []string {
	files, err := filepath.Glob(ts.MkAbs(pattern))
	ts.Check(err)
	return files
}

func hardlink(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(os.Link(ts.MkAbs(args[0]), ts.MkAbs(args[1])))
}

// setTime sets the time of a file: mtime TIME FILE.
func setTime(ts *testscript.TestScript, neg bool, args []string) {
	t, err := time.Parse(time.RFC3339Nano, args[0])
	ts.Check(err)
	ts.Check(os.Chtimes(ts.MkAbs(args[1]), t, t))
}

// runSQL runs statements on a database, which is made when there is none: sql FILE STATEMENTS. What a query returns goes
// to standard output.
func runSQL(ts *testscript.TestScript, neg bool, args []string) {
	db, err := sqlitedb.OpenApp(ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	rows, err := db.Query(args[1])
	ts.Check(err)
	defer rows.Close()
	for rows.Next() {
		var v any
		ts.Check(rows.Scan(&v))
		fmt.Fprintln(ts.Stdout(), v)
	}
	ts.Check(rows.Err())
}

// lock is another process that has the local store, until unlock.
func lock(ts *testscript.TestScript, neg bool, args []string) {
	held, err := localstore.Lock(context.Background(), ts.MkAbs(args[0]), "another command", 0)
	ts.Check(err)
	ts.Defer(func() { held.Release() })
	ts.SetCmd("unlock", func(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(held.Release()) })
}

func unlock(ts *testscript.TestScript, neg bool, args []string) { ts.Fatalf("there is no lock") }

// await waits until a file fits a pattern. How long that takes does not matter; the test's deadline ends it.
func await(ts *testscript.TestScript, neg bool, args []string) {
	for len(glob(ts, args[0])) == 0 {
		time.Sleep(20 * time.Millisecond)
	}
}

// empty checks that nothing fits a pattern.
func empty(ts *testscript.TestScript, neg bool, args []string) {
	if files := glob(ts, args[0]); (len(files) > 0) != neg {
		ts.Fatalf("%s fits %q", args[0], files)
	}
}

// writer makes the sample application in a directory and starts a process that writes to it: writer DIR. The command
// endwriter ends it, and fails if the application got an error or committed nothing.
func writer(ts *testscript.TestScript, neg bool, args []string) {
	ctx, dir := context.Background(), ts.MkAbs(args[0])
	ts.Check(sampleapp.Create(ctx, dir, 7))
	program, err := exec.LookPath("lifeboat")
	ts.Check(err)
	p, err := startDemoWriter(ctx, program, dir)
	ts.Check(err)
	ts.Defer(func() { p.stop() })
	ts.SetCmd("endwriter", func(ts *testscript.TestScript, _ bool, _ []string) {
		commits, err := p.stop()
		ts.Check(err)
		if commits == 0 {
			ts.Fatalf("the application committed nothing")
		}
		ts.Logf("the application committed %d transactions", commits)
	})
}

// whole checks that the sample application in a directory is: whole DIR.
func whole(ts *testscript.TestScript, neg bool, args []string) {
	_, err := sampleapp.Verify(context.Background(), ts.MkAbs(args[0]))
	ts.Check(err)
}
