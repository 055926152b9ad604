package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"lifeboat": main,
		"nobody":   asNobody,
		"holder":   asHolder,
	})
}

// TestScripts runs the scripts of testdata/script against the program, each as a stranger would type it. See
// script_test.go for the words that they have beside those of package testscript.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			stores, err := filepath.Abs("testdata/stores")
			if err != nil {
				return err
			}
			// Nothing of the machine that the tests run on is used, nor is its state touched.
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("STATE_DIRECTORY", filepath.Join(e.WorkDir, "state"))
			e.Setenv("TZ", "UTC")
			e.Setenv("STORES", stores)
			e.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			e.Setenv("GORACE", "atexit_sleep_ms=0") // else every run of the program waits for a second at its end
			return nil
		},
		Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     exits,
			"json":      checkJSON,
			"capture":   capture,
			"write":     write,
			"flip":      flip,
			"truncate":  truncate,
			"same":      same,
			"hardlink":  hardlink,
			"mtime":     setTime,
			"sql":       runSQL,
			"lock":      lock,
			"unlock":    unlock,
			"await":     await,
			"empty":     empty,
			"writer":    writer,
			"whole":     whole,
			"nowriters": noWriters,
		},
	})
}

// asNobody runs the program as a user who may not do everything. Its first argument is the program's name.
func asNobody() {
	os.Args = os.Args[1:]
	dropPrivileges()
	main()
}

// asHolder is an application that opens a database, runs statements, makes a file to say so, and waits to be killed: holder FILE STATEMENTS READY.
// It does not go through package sqlitedb, whose locks have no process.
func asHolder() {
	db, err := sql.Open("sqlite", os.Args[1])
	if err == nil {
		db.SetMaxOpenConns(1)
		_, err = db.Exec(os.Args[2])
	}
	if err == nil {
		err = os.WriteFile(os.Args[3], nil, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "holder:", err)
		os.Exit(1)
	}
	for {
		time.Sleep(time.Hour)
	}
}
