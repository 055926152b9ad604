package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/environ"
)

// What people, machines and accidents throw at the program, and all that it says then. Read the messages as somebody would who was
// woken up by them.
var badInputs = []badInput{
	// Sources.
	{name: "no such path", args: "backup nosuch --remote bucket", code: 1, kind: "no_source", says: `
lifeboat: there is no $W/nosuch to back up
  next: …`},
	{name: "one of two paths is missing", args: "backup app nosuch --app app --remote bucket", code: 3, changes: []string{"state", "bucket"}, says: `
warning: nosuch: missing: no such file or directory
warning: latest will pass this snapshot over, since it is incomplete; see to what is named above and back up again`},
	{name: "two sources of one name", args: "backup app other/app --app app --remote bucket", code: 64, kind: "usage", says: `
lifeboat: sources "app" and "other/app" would both be named "app": name one of them, as in other-app=$W/other/app`},
	{name: "no sources", args: "backup --app app --remote bucket", code: 64, kind: "usage", says: `
lifeboat: nothing says what to back up
  next: lifeboat backup PATH, or write a lifeboat.yaml (lifeboat config example)`},
	{name: "a device as a source", args: "backup /dev/null --app app", code: 1, kind: "no_source", says: `
lifeboat: /dev/null is neither a file nor a directory
  next: name a directory, a database or a file`},
	{name: "an empty path", args: "backup '' --app app", code: 64, kind: "usage", says: `
lifeboat: source "": the path is empty`},
	{name: "a source that may not be read", as: "nobody", setup: func(w *world) { w.chmod("app/x", 0); w.chmod("state", 0o777) }, args: "backup app/x --app app --store tmp/s", code: 1, kind: "permission", says: `
lifeboat: cannot read the source: open $W/app/x: permission denied
  next: run it as a user who may, or change the permissions`},

	// Databases.
	{name: "a corrupt database", setup: func(w *world) {
		w.sql("app/data.db", "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 2000) SELECT printf('%0100d', i) FROM n")
		w.flip("app/data.db", 8195, 8199)
	}, args: "backup app --app app --remote bucket", code: 4, changes: []string{"state", "bucket"}, says: `
warning: app/data.db: corrupt: *** in database main ***; Tree 2 page 3: btreeInitPage() returns error code 11; database disk image is malformed (11)
warning: latest will pass this snapshot over, since a database in it is corrupt; the application's own data is damaged, so look there first`},
	{name: "a database that is locked", setup: func(w *world) { w.lockedBy("app/data.db") }, args: "backup app/data.db --app app --remote bucket", code: 1, kind: "locked", says: `
lifeboat: nothing was captured: source data.db: pin $W/app/data.db: locked by process … (python3); it must leave locking_mode=EXCLUSIVE, end its transaction, or stop
  next: when that is done, run the same command again`},
	{name: "a zero-length database", setup: func(w *world) { w.write("app/zero.db", "") }, args: "backup app/zero.db --app app --remote bucket", code: 0, changes: []string{"state", "bucket"}, says: ``},
	{name: "an encrypted database", setup: encrypted, args: "backup app --app app --remote bucket", code: 0, changes: []string{"state", "bucket"}, says: `
warning: app/secret.db: unverified: there is a write-ahead log beside it, and SQLite cannot read it, so it is probably encrypted: both were taken as files, and nobody can check them without the key`},
	{name: "a cold WAL database in a directory that may not be written", as: "nobody", setup: coldWAL, args: "backup cold --app cold --store tmp/s", code: 0, changes: []string{"tmp/s"}, says: `
made a new local store for cold at $W/tmp/s
warning: it is on this machine only, since no remote is named: give --remote URL, or say lifeboat create if that is meant`},

	// Snapshots.
	{name: "no such snapshot", args: "show 20010101T000000Z --remote bucket", code: 13, kind: "no_snapshot", says: `
lifeboat: there is no snapshot "20010101T000000Z" in $W/state and file://$W/bucket
  next: lifeboat list shows the snapshots that there are`},
	{name: "nothing that old", args: "restore latest@2001-01-01 --remote bucket --target out", code: 13, kind: "no_snapshot", says: `
lifeboat: there is no snapshot "latest@2001-01-01" in $W/state and file://$W/bucket
  next: lifeboat list shows the snapshots that there are`},
	{name: "an ambiguous prefix", args: "restore 20 --remote bucket --target out", code: 13, kind: "ambiguous", says: `
lifeboat: "20" fits 2 snapshots; write more of one of these:
  …
  …`},
	{name: "no reference to a snapshot", args: "restore yesterday --remote bucket --target out", code: 64, kind: "usage", says: `
lifeboat: "yesterday" names no snapshot: want latest, latest@TIME, a stamp such as 20060102T150405Z, or its beginning`},
	{name: "a day that there is not", args: "show latest@2026-02-30 --remote bucket", code: 64, kind: "usage", says: `
lifeboat: "2026-02-30" is no time: want 2006-01-02, 2006-01-02T15:04 (local) or RFC 3339`},
	{name: "a stamp that cannot be", args: "show 20261340T000000Z --remote bucket", code: 13, kind: "no_snapshot", says: `
lifeboat: there is no snapshot "20261340T000000Z" in $W/state and file://$W/bucket
  next: lifeboat list shows the snapshots that there are`},
	{name: "an empty reference", args: "show '' --remote bucket", code: 64, kind: "usage", says: `
lifeboat: "" names no snapshot: want latest, latest@TIME, a stamp such as 20060102T150405Z, or its beginning`},
	{name: "no such path in a snapshot", args: "cat latest app/nosuch --remote bucket", plain: true, code: 1, says: `
lifeboat: there is no "app/nosuch" in snapshot …
  next: lifeboat ls … shows what there is`},
	{name: "a path without its source", args: "cat latest sub/y --remote bucket", plain: true, code: 1, says: `
lifeboat: there is no "sub/y" in snapshot …
  next: did you mean app/sub/y? A path begins with the name of its source; lifeboat ls … shows what there is`},
	{name: "a path below a file", args: "cat latest app/x/y --remote bucket", plain: true, code: 1, says: `
lifeboat: there is no "app/x/y" in snapshot …
  next: lifeboat ls … shows what there is`},
	{name: "cat of a directory", args: "cat latest app/sub --remote bucket", plain: true, code: 64, says: `
lifeboat: "app/sub" is a directory
  next: lifeboat ls … app/sub shows what is in it`},
	{name: "cat with --json", args: "cat latest app/x --remote bucket", code: 64, kind: "usage", says: `
lifeboat: cat writes the file itself and has no JSON form
  next: lifeboat ls --json tells about a file`},
	{name: "a pull that names no snapshot", args: "pull nosuch --remote bucket", code: 64, kind: "usage", says: `
lifeboat: "nosuch" names no snapshot: want latest, latest@TIME, a stamp such as 20060102T150405Z, or its beginning`},
	{name: "a copy to nowhere", args: "copy --remote bucket", code: 64, kind: "usage", says: `
lifeboat: nothing says where to copy to
  next: lifeboat copy --to URL`},
	{name: "a copy from nowhere", args: "copy --store none --to bucket", code: 10, kind: "no_store", says: `
lifeboat: there is no local store at $W/none, and no remote is named
  next: give --remote URL, or take a first snapshot with lifeboat backup PATH`},
	{name: "a copy to itself", args: "copy --remote bucket --to bucket/", code: 64, kind: "usage", says: `
lifeboat: --to bucket/ is the remote that it would be copied from
  next: give --remote or --to another place`},
	{name: "a copy to the local store", args: "copy --remote bucket --to state", code: 64, kind: "usage", says: `
lifeboat: --to state is the local store itself
  next: give --to another place; lifeboat pull SNAPSHOT brings one to the local store`},
	{name: "a copy to a URL that is none", args: "copy --remote bucket --to https://s3.example.com/bucket", code: 64, kind: "usage", says: `
lifeboat: --to: "https" is no kind of store: give s3://bucket/prefix?endpoint=https://host, file:///dir or a path`},
	{name: "a copy to a file", args: "copy --remote bucket --to app/x", code: 10, kind: "no_store", says: `
lifeboat: $W/app/x is not a directory
  next: give the directory that the store is in`},
	{name: "a copy of what there is not", args: "copy 2001 --remote bucket --to second", code: 13, kind: "no_snapshot", says: `
lifeboat: there is no snapshot "2001" in $W/state and file://$W/bucket
  next: lifeboat list shows the snapshots that there are`},
	{name: "a copy to where one may not write", as: "nobody", setup: open, args: "copy --store none --remote bucket --to second", code: 14, kind: "remote", says: `
lifeboat: create directory store $W/second: permission denied`},

	// Targets.
	{name: "restore into a directory that is not empty", args: "restore latest --remote bucket --target app", code: 8, kind: "not_empty", says: `
lifeboat: $W/app is not empty
  next: nothing was changed; give --target a directory that is empty, or one that does not exist yet`},
	{name: "restore into a file", args: "restore latest --remote bucket --target app/x", code: 8, kind: "bad_target", says: `
lifeboat: cannot restore into $W/app/x: it is no directory
  next: nothing was changed; give --target a directory that is empty, or one that does not exist yet`},
	{name: "restore below a file", args: "restore latest --remote bucket --target app/x/y/z", code: 8, kind: "bad_target", says: `
lifeboat: cannot restore into $W/app/x/y/z: what is above it is a file
  next: nothing was changed; give --target a directory that is empty, or one that does not exist yet`},
	{name: "restore to nowhere", setup: func(w *world) { w.check(os.Symlink("nowhere", w.path("link"))) }, args: "restore latest --remote bucket --target link", code: 8, kind: "bad_target", says: `
lifeboat: cannot restore into $W/link: it is a symbolic link that leads nowhere
  next: nothing was changed; give --target a directory that is empty, or one that does not exist yet`},
	{name: "restore without a target", args: "restore latest --remote bucket --app app", code: 64, kind: "usage", says: `
lifeboat: restore needs to know where to
  next: lifeboat restore latest --target DIR lays it down in a new directory; lifeboat restore latest --in-place --confirm-service-stopped replaces what is there`},
	{name: "restore where one may not write", as: "nobody", setup: open, args: "restore latest --store none --remote bucket --target out", code: 1, kind: "permission", says: `
lifeboat: make a staging directory: mkdir $W/.lifeboat-restore-…: permission denied
  next: run it as a user who may, or change the permissions`},
	{name: "restore of nothing", args: "restore latest --remote bucket --target out --only nosuch", code: 64, kind: "usage", says: `
lifeboat: --only and --except leave nothing of the snapshot
  next: lifeboat ls … shows what there is`},
	{name: "restore in place while the service runs, for all that is known", args: "restore latest --remote bucket --app app --in-place", code: 8, kind: "service_not_stopped", says: `
lifeboat: $W/app would be replaced: whatever still runs on it would go on writing to files that are no longer there, and its data would be lost, or mixed with what is restored
  next: nothing was changed; stop the service, and then give --confirm-service-stopped (--plan shows what would change)`},
	{name: "restore in place of a source that nobody has heard of", args: "restore latest --remote bucket --app app --in-place --map nosuch=x", code: 64, kind: "usage", says: `
lifeboat: --map nosuch=x: the snapshot has no source "nosuch"`},
	{name: "restore in place where a file is", args: "restore latest --remote bucket --app app --in-place --map app=$W/app/x", code: 8, kind: "bad_target", says: `
lifeboat: cannot restore into $W/app/x: it is a file, where the snapshot has a directory; move it away, or say where else with --map app=PATH
  next: nothing was changed`},
	{name: "restore of what is whole in place", args: "restore latest --remote bucket --in-place --salvage", code: 64, kind: "usage", says: `
lifeboat: --salvage lays down beside what is there, never over it
  next: lifeboat restore SNAPSHOT --salvage --target DIR, and copy from there what you need`},
	{name: "restore for a time that is none", args: "restore latest --remote bucket --in-place --keep-old soon", code: 64, kind: "usage", says: `
lifeboat: --keep-old soon: want a time such as 12h or 7d, or 0s`},
	{name: "resume of nothing", args: "restore --resume --app app", code: 8, kind: "refused", says: `
lifeboat: there is no restore to resume
  next: lifeboat restore SNAPSHOT begins one; --if-needed makes this no failure`},
	{name: "undo of nothing", args: "undo --app app", code: 8, kind: "refused", says: `
lifeboat: there is nothing to undo: no restore in place is kept
  next: lifeboat list shows safety snapshots, which can be restored like any other`},

	// Drills.
	{name: "a drill of two snapshots", args: "drill latest 2026 --remote bucket", code: 64, kind: "usage", says: `
lifeboat: drill takes one SNAPSHOT
  next: lifeboat drill latest`},
	{name: "a drill that is to pick, and is told", args: "drill latest --pick oldest --remote bucket", code: 64, kind: "usage", says: `
lifeboat: --pick chooses a snapshot, and latest names one: give one of the two`},
	{name: "a drill that picks what there is not", args: "drill --pick newest --remote bucket", code: 64, kind: "usage", says: `
lifeboat: --pick newest: want latest, random, oldest or longest-unproven`},
	{name: "a drill from a place that there is not", args: "drill --from b2 --remote bucket", code: 64, kind: "usage", says: `
lifeboat: --from b2: there is no such place; there are local, bucket`},
	{name: "a drill over a line of no unit", args: "drill --bandwidth 100 --remote bucket", code: 64, kind: "usage", says: `
lifeboat: --bandwidth "100": want a bandwidth such as 100Mbit or 12MiB`},
	{name: "a drill of what is too old", args: "drill 2 --max-age 1 --remote bucket", code: 64, kind: "usage", says: `
lifeboat: --max-age "1": want a time such as 36h, 14d or 8w`},
	{name: "a drill of no snapshot", args: "drill 20010101T000000Z --remote bucket", code: 13, kind: "no_snapshot", says: `
lifeboat: there is no snapshot "20010101T000000Z" in file://$W/bucket
  next: lifeboat list shows the snapshots that there are`},
	{name: "a drill of a store that is none", args: "drill --store none --remote nosuch", code: 10, kind: "no_store", says: `
lifeboat: there is no directory $W/nosuch
  next: is it mounted, and is the path right?`},
	{name: "a drill with assertions that are wrong", setup: func(w *world) { w.write("assert.yaml", "assert:\n- {sqll: x}\n") }, args: "drill --assert assert.yaml --remote bucket", code: 64, kind: "configuration", says: `
lifeboat: $W/assert.yaml:2:4: unknown key "sqll"; did you mean "sql"?
  next: docs/drill.md says what stands in such a file`},
	{name: "a drill whose evidence cannot be stored", as: "nobody", setup: open, args: "drill --store none --remote bucket --scratch tmp --evidence tmp/evidence.json", code: 0, changes: []string{"tmp/evidence.json"}, says: `
warning: the evidence could not be stored at file://$W/bucket, and is only in $W/tmp/evidence.json: …`},
	{name: "a drill without room for temporary files", args: "drill --remote bucket --scratch nosuch", code: 1, kind: "no_scratch", says: `
lifeboat: make a directory for temporary files: …
  next: make that directory, or name another: TMPDIR=DIR lifeboat ...`},

	{name: "a status that is to be of an age that is none", args: "status --max-drill-age soon --remote bucket", code: 64, kind: "usage", says: `
lifeboat: --max-drill-age "soon": want a time such as 36h, 14d or 8w`},
	{name: "a restore of an age that is none", args: "restore latest --max-age 0 --remote bucket --target out", code: 64, kind: "usage", says: `
lifeboat: --max-age "0": want a time such as 36h, 14d or 8w`},
	{name: "a ping to what is no URL", args: "drill --ping example.com/secret --remote bucket", code: 64, kind: "usage", says: `
lifeboat: --ping (or LIFEBOAT_PING): want a URL such as https://hc-ping.com/UUID`},

	// Stores.
	{name: "no store at all", env: []string{"STATE_DIRECTORY=$W/nosuch"}, args: "list", code: 10, kind: "no_store", says: `
lifeboat: there is no local store on this machine, and no remote is named
  next: give --remote URL or --store DIR, or take a first snapshot with lifeboat backup PATH`},
	{name: "no local store where it is said to be", args: "list --store nosuch", code: 10, kind: "no_store", says: `
lifeboat: there is no local store at $W/nosuch, and no remote is named
  next: give --remote URL, or take a first snapshot with lifeboat backup PATH`},
	{name: "a local store that is a file", args: "list --store app/x", code: 10, kind: "no_store", says: `
lifeboat: $W/app/x is not a directory
  next: --store names the directory of the local store`},
	{name: "a backup into a local store that is a file", args: "backup app --app app --store app/x", code: 10, kind: "no_store", says: `
lifeboat: $W/app/x is not a directory
  next: --store names the directory of the local store`},
	{name: "a backup into a local store below a file", args: "backup app --app app --store app/x/y", code: 10, kind: "no_store", says: `
lifeboat: $W/app/x/y is not a directory
  next: --store names the directory of the local store`},
	{name: "a local store that may not be written", as: "nobody", args: "backup app --app app --remote bucket", code: 1, kind: "permission", says: `
lifeboat: lock local store $W/state: open $W/state/lock: permission denied
  next: run it as a user who may, or change the permissions`},
	{name: "a local store that may not be read", as: "nobody", setup: func(w *world) { w.chmod("state", 0o700) }, args: "list", code: 1, kind: "permission", says: `
lifeboat: the local store $W/state: permission denied
  next: run it as a user who may read it, or name a remote with --remote URL`},
	{name: "a local store in use", setup: inUse, args: "backup app --app app --remote bucket", code: 11, kind: "in_use", says: `
lifeboat: the local store $W/state is in use by process … (lifeboat backup); try again when it is done, or wait for it with --wait`},
	{name: "the store of another application", args: "backup app --app second --remote bucket", code: 10, kind: "other_application", says: `
lifeboat: file://$W/bucket belongs to the application "app", not to "second"; choose another store, or name that application with --app`},
	{name: "a remote of another application", args: "backup app --app second --store tmp/s --remote bucket", changes: []string{"tmp/s"}, code: 10, kind: "other_application", says: `
lifeboat: file://$W/bucket belongs to the application "app", not to "second"; choose another store, or name that application with --app`},
	{name: "a damaged store", setup: func(w *world) { w.remove("state"); w.flip("bucket/archives/*", 60) }, args: "restore latest --remote bucket --target out", code: 4, kind: "integrity", says: `
lifeboat: files table: read piece "app": file://$W/bucket: archives/….tar.zst: frame 0, bytes 0 to …: damaged: damaged zstd data: …
  next: lifeboat validate --all --read-data finds all that is damaged; another place or snapshot may be whole; with --salvage, what is whole of this one comes back`},
	{name: "a marker that is damaged", setup: func(w *world) { w.flip("bucket/lifeboat.json", 3) }, args: "backup app --app app --remote bucket", code: 4, changes: []string{"state"}, says: `
warning: file://$W/bucket: lifeboat.json: damaged: it names no format; lifeboat validate --all --read-data finds all that is damaged; another place or snapshot may be whole
warning: that remote lacks this snapshot; the next backup, or lifeboat push, sends it`},

	// Remotes.
	{name: "no such directory", args: "list --store none --remote nosuch", code: 10, kind: "no_store", says: `
lifeboat: there is no directory $W/nosuch
  next: is it mounted, and is the path right?`},
	{name: "a directory that is no store", args: "list --store none --remote empty", code: 10, kind: "no_store", says: `
lifeboat: there is no store at file://$W/empty
  next: is the name right? lifeboat backup makes a new store`},
	{name: "a directory that is not mounted", setup: func(w *world) { w.rename("bucket", "away") }, args: "backup app --app app --remote bucket", code: 10, changes: []string{"state"}, says: `
warning: file://$W/bucket is not the store that it was at the last backup; is it mounted, and is the prefix right? If it was made anew on purpose, give --init
warning: that remote lacks this snapshot; the next backup, or lifeboat push, sends it`},
	{name: "a mount point without its disk", setup: func(w *world) { w.rename("bucket", "away"); w.mkdir("bucket") }, args: "backup app --app app --remote bucket", code: 10, changes: []string{"state"}, says: `
warning: file://$W/bucket is not the store that it was at the last backup; is it mounted, and is the prefix right? If it was made anew on purpose, give --init
warning: that remote lacks this snapshot; the next backup, or lifeboat push, sends it`},
	{name: "a remote that is a file", args: "list --store none --remote app/x", code: 10, kind: "no_store", says: `
lifeboat: $W/app/x is not a directory
  next: give the directory that the store is in`},
	{name: "a backup to a remote that is a file", args: "backup app --app app --remote app/x", code: 10, changes: []string{"state"}, says: `
warning: $W/app/x is not a directory; give the directory that the store is in
warning: that remote lacks this snapshot; the next backup, or lifeboat push, sends it`},
	{name: "a remote that may not be written", as: "nobody", setup: func(w *world) { w.chmod("tmp", 0o777) }, args: "backup app --app app --store tmp/s --remote bucket", code: 14, changes: []string{"tmp/s"}, says: `
warning: going on without bucket for now: open $W/bucket/lifeboat.json: the store's directory $W/bucket: permission denied; run it as a user who may, or change the permissions
made a new local store for app at $W/tmp/s
warning: open $W/bucket/lifeboat.json: the store's directory $W/bucket: permission denied; run it as a user who may, or change the permissions
warning: that remote lacks this snapshot; the next backup, or lifeboat push, sends it`},
	{name: "a remote that is the local store", args: "backup app --app app --remote state", code: 8, kind: "refused", says: `
lifeboat: the remote state is the local store itself
  next: give --store DIR or --remote URL another place`},
	{name: "a remote that is given twice", args: "backup app --app app --remote bucket --remote bucket", code: 64, kind: "usage", says: `
lifeboat: --remote bucket is given twice`},
	{name: "a URL with a password", args: "list --remote s3://key:hunter2@bucket/app", code: 64, kind: "usage", says: `
lifeboat: --remote: a URL must not hold a user or a secret: put credentials into the environment or a file`},
	{name: "a bucket without a name", args: "list --remote s3://", code: 64, kind: "usage", says: `
lifeboat: --remote: the URL of a bucket has two slashes and a name: s3://bucket/prefix`},
	{name: "a bucket with one slash", args: "list --remote s3:/bucket/app", code: 64, kind: "usage", says: `
lifeboat: --remote: the URL of a bucket has two slashes and a name: s3://bucket/prefix`},
	{name: "the URL of an endpoint", args: "list --remote https://s3.example.com/bucket", code: 64, kind: "usage", says: `
lifeboat: --remote: "https" is no kind of store: give s3://bucket/prefix?endpoint=https://host, file:///dir or a path`},
	{name: "a relative file URL", args: "list --remote file://bucket", code: 64, kind: "usage", says: `
lifeboat: --remote: the URL of a directory has three slashes: file:///dir; a relative path stands alone`},
	{name: "a home directory", args: "list --remote ~/bucket", code: 64, kind: "usage", says: `
lifeboat: --remote: ~ is not expanded here; write the whole path`},
	{name: "a parameter that there is not", args: "list --remote s3://bucket/app?regoin=x", code: 64, kind: "usage", says: `
lifeboat: --remote: "regoin" is not known in the URL of a bucket: there are endpoint and region; credentials come from the environment`},
	{name: "half a key pair", env: []string{"AWS_SECRET_ACCESS_KEY="}, args: "list --store none --remote s3://bucket/app", code: 64, kind: "usage", says: `
lifeboat: settings of s3://bucket: AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not: set both or neither`},
	{name: "a server that does not answer", env: []string{"AWS_ENDPOINT_URL_S3=http://127.0.0.1:1"}, args: "list --store none --remote s3://bucket/app", code: 14, kind: "remote", says: `
lifeboat: list s3://bucket/app: cannot connect to http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused
  next: is the server running, and are host and port of the endpoint right?`},

	// Configuration.
	{name: "no such configuration", args: "backup --config nosuch.yaml", code: 64, kind: "usage", says: `
lifeboat: read configuration: open $W/nosuch.yaml: no such file or directory
  next: lifeboat config example shows one to begin with`},
	{name: "a directory as configuration", args: "backup --config app", code: 64, kind: "usage", says: `
lifeboat: read configuration: read $W/app: is a directory
  next: name a file with --config FILE`},
	{name: "a configuration that is not UTF-8", setup: configured("app: app\nsources: [\xff\xfe]\n"), args: "backup", code: 64, kind: "configuration", says: `
lifeboat: $W/lifeboat.yaml:2: the file is not UTF-8 text
  next: lifeboat config example shows one that is right`},
	{name: "an empty configuration", setup: configured(""), args: "backup", code: 64, kind: "usage", says: `
lifeboat: nothing says what to back up
  next: lifeboat backup PATH, or write a lifeboat.yaml (lifeboat config example)`},
	{name: "a key that there is not", setup: configured("app: app\nsource:\n  - path: app\n"), args: "backup", code: 64, kind: "configuration", says: `
lifeboat: $W/lifeboat.yaml:2:1: unknown key "source"; did you mean "sources"?
  next: lifeboat config example shows one that is right`},
	{name: "several mistakes", setup: configured("app: My App\nsources:\n  - path: app\n    exclud: [x]\n  - {path: other/app}\nremotes:\n  - url: s3://key:hunter2@bucket\nlocal: {keep: many}\n"), args: "config validate", code: 64, kind: "configuration", says: `
lifeboat: $W/lifeboat.yaml:1:6: application name "My App": want 1 to 64 of a-z, 0-9, '.', '_' and '-', with a letter or digit first
$W/lifeboat.yaml:4:5: unknown key "exclud"; did you mean "exclude"?
$W/lifeboat.yaml:5:5: a second source is named "app"; add name: with another name to one of them
$W/lifeboat.yaml:7:10: url: a URL must not hold a user or a secret: put credentials into the environment or a file
$W/lifeboat.yaml:8:15: keep is text, want a whole number, all, or rules such as {daily: 7}
  next: lifeboat config example shows one that is right`},
	{name: "tabs", setup: configured("app: app\nsources:\n\t- path: app\n"), args: "backup", code: 64, kind: "configuration", says: `
lifeboat: $W/lifeboat.yaml:3: a tab stands here; indent with spaces
  next: lifeboat config example shows one that is right`},
	{name: "a key twice", setup: configured("app: app\napp: other\n"), args: "backup", code: 64, kind: "configuration", says: `
lifeboat: $W/lifeboat.yaml:2:1: key "app" is already at line 1
  next: lifeboat config example shows one that is right`},
	{name: "no YAML", setup: configured("[general]\nname=app\n"), args: "backup", code: 64, kind: "configuration", says: `
lifeboat: $W/lifeboat.yaml:2: this is not YAML; want lines such as app: NAME
  next: lifeboat config example shows one that is right`},
	{name: "a list", setup: configured("- path: app\n"), args: "backup", code: 64, kind: "configuration", says: `
lifeboat: $W/lifeboat.yaml:1:1: the file is a list, want keys and values
  next: lifeboat config example shows one that is right`},
	{name: "a configuration that others may write", setup: func(w *world) { configured("app: app\n")(w); w.chmod("lifeboat.yaml", 0o666) }, args: "backup", code: 64, kind: "usage", says: `
lifeboat: $W/lifeboat.yaml can be written by others (mode 0666), so it is not used: read it, and if it is right, run chmod go-w $W/lifeboat.yaml
  next: name a file with --config FILE`},
	{name: "an application name that is not allowed", args: "backup app --app ../../etc", code: 64, kind: "usage", says: `
lifeboat: application name "../../etc": want 1 to 64 of a-z, 0-9, '.', '_' and '-', with a letter or digit first`},

	// The command line.
	{name: "no such command", args: "bakcup app", code: 64, kind: "usage", says: `
lifeboat: there is no command "bakcup"
  next: did you mean lifeboat backup? lifeboat --help shows the commands`},
	{name: "no such flag", args: "backup app --remoet bucket", code: 64, kind: "usage", says: `
lifeboat: there is no flag --remoet
  next: did you mean --remote? lifeboat backup --help explains it`},
	{name: "a flag without its value", args: "backup app --remote ''", code: 64, kind: "usage", says: `
lifeboat: --remote needs a value
  next: lifeboat backup --help explains it`},
	{name: "a time that is none", args: "backup app --wait soon", code: 64, kind: "usage", says: `
lifeboat: --wait "soon": want a time such as 30s or 10m`},
	{name: "a way of progress that there is not", args: "backup app --progress loud", code: 64, kind: "usage", says: `
lifeboat: --progress loud: want auto, bar, plain or none`},
	{name: "a variable that is neither true nor false", env: []string{"LIFEBOAT_QUIET=perhaps"}, args: "list", code: 64, kind: "usage", says: `
lifeboat: LIFEBOAT_QUIET="perhaps": want true or false`},
	{name: "a pattern that is malformed", args: "backup app --app app --exclude [", code: 64, kind: "usage", says: `
lifeboat: exclude pattern "[": it is malformed`},
	{name: "an argument too many", args: "list latest", code: 64, kind: "usage", says: `
lifeboat: list takes no arguments
  next: lifeboat list --help explains it`},
	{name: "a source that there is not", args: "backup app --app app --only nosuch", code: 64, kind: "usage", says: `
lifeboat: there is no source "nosuch"
  next: the sources are app`},

	// The machine.
	{name: "no home", as: "nobody", env: []string{"HOME=", "STATE_DIRECTORY=", "XDG_STATE_HOME="}, args: "backup app --app app", code: 64, kind: "usage", says: `
lifeboat: no place for the local store: neither HOME nor STATE_DIRECTORY is set; give --store DIR`},
	{name: "no temporary directory for a backup", env: []string{"TMPDIR=$W/nosuch"}, args: "backup app --app app --remote bucket", code: 1, kind: "no_scratch", says: `
lifeboat: make a directory for temporary files: stat $W/nosuch: no such file or directory
  next: make that directory, or name another: TMPDIR=DIR lifeboat ...`},
	{name: "no temporary directory for a check", env: []string{"TMPDIR=$W/nosuch"}, args: "validate --read-data --remote bucket", code: 1, kind: "no_scratch", says: `
lifeboat: make a directory for temporary files: stat $W/nosuch: no such file or directory
  next: make that directory, or name another: TMPDIR=DIR lifeboat ...`},
	{name: "no directory for a check", args: "validate --read-data --remote bucket --scratch nosuch", code: 1, kind: "no_scratch", says: `
lifeboat: make a directory for temporary files: stat nosuch: no such file or directory
  next: make that directory, or name another: TMPDIR=DIR lifeboat ...`},
	{name: "a full temporary directory", setup: full("tmp", 0), args: "backup app --app app --remote bucket", changes: []string{"state/archives"}, code: 15, kind: "no_space", says: `
lifeboat: source app: write to a scratch file: write $W/tmp/lifeboat-…/draft-…: no space left on device
  next: free some space there, or choose another place: --store, --remote, --target or TMPDIR`},
	{name: "a full temporary directory for a check", setup: full("tmp", 0), args: "validate --read-data --remote bucket", code: 15, kind: "no_space", says: `
lifeboat: not enough space at $W/tmp/lifeboat-…: 1.0 MiB needed, 0 B free
  next: free some space there, or choose another place: --store, --remote, --target or TMPDIR`},
	{name: "a full local store", setup: full("small", 64<<10), args: "backup app --app app --store small", code: 15, kind: "no_space", says: `
lifeboat: not enough space at $W/small: 1.0 MiB needed, 64 KiB free
  next: free some space there, or choose another place: --store, --remote, --target or TMPDIR`},
	{name: "a local store that has become full", setup: fullStore, args: "backup app --app app --store small", changes: []string{"small/archives"}, code: 15, kind: "no_space", says: `
lifeboat: source app: write an archive: the spool in $W/small is full: it has room for 1.1 MiB
  next: free some space there, let more wait with --spool-max SIZE, name a remote that it can be sent to, or back up fewer sources at a time with --only`},
	{name: "a full remote", setup: full("small", 64<<10), args: "backup app --app app --remote small", code: 15, changes: []string{"state"}, says: `
warning: not enough space at $W/small: 1.0 MiB needed, 64 KiB free; free some space there, or choose another place: --store, --remote, --target or TMPDIR
warning: that remote lacks this snapshot; the next backup, or lifeboat push, sends it`},
	{name: "a remote that there is no room to make", setup: withoutInodes, args: "backup app --app app --remote small/r", code: 15, changes: []string{"state"}, says: `
warning: create directory store $W/small/r: no space left on device; free some space there, or choose another place: --store, --remote, --target or TMPDIR
warning: that remote lacks this snapshot; the next backup, or lifeboat push, sends it`},
	{name: "a full target", setup: full("small", 64<<10), args: "restore latest --remote bucket --target small/out", code: 15, kind: "no_space", says: `
lifeboat: not enough space at $W/small: 1.0 MiB needed, 64 KiB free
  next: free some space there, or choose another place: --store, --remote, --target or TMPDIR`},
	{name: "a read-only file system", setup: readOnly, args: "backup app --app app --store small/s", code: 1, kind: "permission", says: `
lifeboat: make the local store: mkdir $W/small/s: read-only file system
  next: mount it writable, or choose another place`},
}

func TestBadInput(t *testing.T) {
	w := newWorld(t)
	saved := w.dir + ".saved"
	w.copyTo(saved)
	for _, in := range badInputs {
		t.Run(strings.ReplaceAll(in.name, " ", "_"), func(t *testing.T) {
			w := &world{t: t, dir: w.dir}
			in.try(t, w)
		})
		// As it was, for the next.
		w.remove("")
		(&world{t: t, dir: saved}).copyTo(w.dir)
	}
}

// A machine without a clock of its own wakes up in 1970.
func TestClockBeforeEverything(t *testing.T) {
	dir := t.TempDir()
	env := environ.Current()
	env.Dir, env.Getenv = dir, func(string) string { return "" }
	env.Now = func() time.Time { return time.Date(1970, 1, 1, 0, 3, 0, 0, time.UTC) }
	if err := os.WriteFile(dir+"/x", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code := run(context.Background(), []string{"lifeboat", "create", "x", "--store", dir + "/store"}, env, &out, &errs)
	want := `…
lifeboat: this machine's clock says 1970-01-01 00:03:00, so that the snapshot would count as the oldest of all
  next: set the clock (NTP), and run the same command again
`
	if code != codeRefused || !fits(want, errs.String()) || out.Len() > 0 {
		t.Errorf("exit code %d: %s%s", code, errs.String(), out.String())
	}
	manifests, err := os.ReadDir(dir + "/store/manifests")
	if len(manifests) > 0 {
		t.Errorf("%d snapshots, %v", len(manifests), err)
	}
}
