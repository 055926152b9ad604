package main

import (
	"io/fs"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
)

const (
	intoSmall = "restore latest --remote bucket --app app --map app=$W/small/app --confirm-service-stopped"
	intoOpen  = "restore latest --remote bucket --app app --map app=$W/open/app --store $W/tmp/s --confirm-service-stopped"
	makeItFit = `
  next: nothing was changed; free some space there, restore less at a time with --only, take no safety snapshot with --no-pre-snapshot, or put the local store elsewhere with --store`
	asWhom = `
  next: nothing was changed; run it as the user whose files these are, or as root, or restore to another place with --target DIR`
	stopIt = `
  next: nothing was changed; stop it, and run the same command again`
)

// inPlaceRefusals are restores in place that cannot be done, on a system on which it can be known. Nothing is changed by them.
var inPlaceRefusals = []badInput{
	// No room.
	{name: "a file system with too little room", setup: small(3<<19, ""), args: intoSmall, code: 15, kind: "no_space", says: `
lifeboat: not enough space at $W/small: 1.0 MiB needed, … KiB free` + makeItFit},
	{name: "a drill with too little room", setup: small(3<<19, ""), args: "drill --remote bucket --scratch small", code: 15, kind: "no_space", says: `
lifeboat: not enough space at $W/small: … needed, … free
  next: name a larger place with --scratch DIR; lifeboat drill --no-scratch checks every byte and needs no room`},
	{name: "a plan for a file system with too little room", setup: small(3<<19, ""), args: intoSmall + " --plan", code: 0, says: `
warning: it may not fit at $W/small: free some space there, restore less at a time with --only, take no safety snapshot with --no-pre-snapshot, or put the local store elsewhere with --store`},
	{name: "a file system on which no file can be made", setup: small(8<<20, "nr_inodes=7"), args: intoSmall, code: 15, kind: "no_space", says: `
lifeboat: prepare the exchange: make a work directory: mkdir $W/small/.lifeboat-swap-…: no space left on device` + makeItFit},
	{name: "too little room for what is not in the snapshot", setup: func(w *world) {
		small(7<<19, "")(w)
		w.noise("small/app/since", 1<<20)
	}, args: intoSmall, changes: []string{"state/safety"}, code: 15, kind: "no_space", says: `
lifeboat: …: no space left on device` + makeItFit},
	{name: "a local store without room for the safety snapshot", setup: small(5<<18, "", "store"), changes: []string{"small/s"},
		args: "restore latest --remote bucket --app app --map app=$W/app --store small/s --confirm-service-stopped", code: 15, kind: "no_space", says: `
made a new local store for app at $W/small/s
lifeboat: save the current state: …: no space left on device` + makeItFit},

	// No permission.
	{name: "a read-only file system", setup: small(8<<20, "ro"), args: intoSmall, code: 1, kind: "permission", says: `
lifeboat: restore over what is there: this user may not change what is in $W/small/app: read-only file system
  next: nothing was changed; mount it writable, or restore to another place with --map NAME=PATH or --target DIR`},
	{name: "a directory of another user", as: "nobody", setup: others(0o755), args: intoOpen, changes: []string{"tmp"}, code: 1, kind: "permission", says: `
made a new local store for app at $W/tmp/s
lifeboat: restore over what is there: this user may not change what is in $W/open/app: permission denied` + asWhom},
	{name: "a plan for a directory of another user", as: "nobody", setup: others(0o755), args: intoOpen + " --plan", changes: []string{"tmp"}, code: 0, says: `
warning: restore over what is there: this user may not change what is in $W/open/app: permission denied`},
	{name: "a source of another user in a directory for all", as: "nobody", setup: others(0o777), args: intoOpen, changes: []string{"tmp"}, code: 1, kind: "permission", says: `
made a new local store for app at $W/tmp/s
lifeboat: restore over what is there: this user may not move $W/open/app, which belongs to somebody else: permission denied` + asWhom},
	{name: "a source of another user in a sticky directory", as: "nobody", setup: func(w *world) {
		others(0o777 | fs.ModeSticky)(w)
		w.chmod("open/app", 0o777)
	}, args: intoOpen, changes: []string{"tmp"}, code: 1, kind: "permission", says: `
made a new local store for app at $W/tmp/s
lifeboat: restore over what is there: this user may not move $W/open/app, which belongs to somebody else: operation not permitted` + asWhom},
	{name: "a file that is not in the snapshot and may not be read", as: "nobody", setup: func(w *world) {
		others(0o777)(w)
		w.chmod("open/app", 0o777)
		w.write("open/app/secret", "s")
		w.chmod("open/app/secret", 0o600)
	}, args: intoOpen, changes: []string{"tmp"}, code: 1, kind: "permission", says: `
made a new local store for app at $W/tmp/s
lifeboat: open $W/open/app/secret: permission denied` + asWhom},

	// In use, by programs that do nothing just then. The name of one is that of the interpreter.
	{name: "an idle connection, WAL", setup: held("app/data.db", "db.execute('PRAGMA journal_mode=WAL'); db.execute('SELECT * FROM t').fetchall()"),
		args: "restore latest --remote bucket --app app --confirm-service-stopped", code: 8, kind: "in_use_by_process", says: `
lifeboat: process $PID (python…) has $W/app/data.db open` + stopIt},
	{name: "an idle connection, rollback journal", setup: held("app/data.db", "db.execute('SELECT * FROM t').fetchall()"),
		args: "restore latest --remote bucket --app app --confirm-service-stopped", code: 8, kind: "in_use_by_process", says: `
lifeboat: process $PID (python…) has $W/app/data.db open` + stopIt},
	{name: "a file that is open", setup: held("app/sub/y", "f = open(sys.argv[1])"),
		args: "restore latest --remote bucket --app app --confirm-service-stopped", code: 8, kind: "in_use_by_process", says: `
lifeboat: process $PID (python…) has $W/app/sub/y open` + stopIt},
	{name: "a file that is open and would go, on a mount point", setup: func(w *world) {
		small(8<<20, "")(w)
		w.write("small/app/since", "")
		w.check(exec.Command("sh", "-c", "mv "+w.path("small/app")+"/* "+w.path("small")+" && rmdir "+w.path("small/app")).Run())
		held("small/since", "f = open(sys.argv[1])")(w)
	}, args: "restore latest --remote bucket --app app --map app=$W/small --confirm-service-stopped --delete-extra", code: 8, kind: "in_use_by_process", says: `
lifeboat: process $PID (python…) has $W/small/since open` + stopIt},
	{name: "an undo of what is in use", setup: func(w *world) {
		w.must("restore", "latest", "--remote", "bucket", "--app", "app", "--confirm-service-stopped")
		held("app/x", "f = open(sys.argv[1])")(w)
	}, args: "undo --app app --confirm-service-stopped", code: 8, kind: "in_use_by_process", says: `
lifeboat: process $PID (python…) has $W/app/x open` + stopIt},
}

func TestInPlaceRefusals(t *testing.T) {
	w := newWorld(t)
	w.mkdir("state/restores")
	w.chmod("state/restores", 0o700)
	saved := w.dir + ".saved"
	w.copyTo(saved)
	for _, in := range inPlaceRefusals {
		t.Run(strings.ReplaceAll(in.name, " ", "_"), func(t *testing.T) { in.try(t, &world{t: t, dir: w.dir}) })
		w.remove("")
		(&world{t: t, dir: saved}).copyTo(w.dir)
	}
}

func (w *world) noise(name string, size int) {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{2}).Read(data)
	w.write(name, string(data))
}

// small puts an application with a file of 1 MiB, which the snapshot has with other content, on a file system of its own; or only makes that, in
// which a store can be.
func small(bytes int, option string, store ...string) func(*world) {
	return func(w *world) {
		w.mkdir("small")
		w.noise("app/large", 1<<20)
		w.must("backup", "app", "--app", "app", "--remote", "bucket", "--quiet")
		options := []string{option}
		if option == "" || option == "ro" {
			options = nil
		}
		mount(w.t, w.path("small"), bytes, options...)
		if len(store) > 0 {
			w.noise("app/since", 1<<20)
			return
		}
		w.check(exec.Command("cp", "-a", w.path("app"), w.path("small/app")).Run())
		w.write("small/app/large", strings.Repeat("another ", 1<<17))
		if option == "ro" {
			w.check(exec.Command("mount", "-o", "remount,ro", w.path("small")).Run())
		}
	}
}

// others puts the application into a directory with a mode.
func others(mode fs.FileMode) func(*world) {
	return func(w *world) {
		open(w)
		w.mkdir("open")
		w.check(exec.Command("cp", "-a", w.path("app"), w.path("open/app")).Run())
		w.write("open/app/x", "another")
		w.chmod("open", mode)
	}
}

// held starts a program that has something open until the test ends; db is a connection to it, as far as it is a database.
func held(name, code string) func(*world) {
	return func(w *world) {
		w.hold(w.path(name), `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
`+code)
	}
}
