package importrules_test

import (
	"slices"
	"strings"
)

// An importRule says that no package of who imports what.
type importRule struct {
	who    set
	what   set
	deep   bool // nor does anything that it imports
	reason string
}

// A useRule says that no package of who names one of these things. A method is written ".Name" and stands for
// the methods of that name of every type, since the scan knows no types.
type useRule struct {
	who    set
	names  []string
	reason string
}

// A set of packages, by import path.
type set func(path string) bool

// in holds the packages of these paths and those below them.
func in(roots ...string) set {
	return func(path string) bool {
		return slices.ContainsFunc(roots, func(root string) bool {
			return path == root || strings.HasPrefix(path, root+"/")
		})
	}
}

func is(paths ...string) set { return func(path string) bool { return slices.Contains(paths, path) } }
func not(s set) set          { return func(path string) bool { return !s(path) } }
func and(a, b set) set       { return func(path string) bool { return a(path) && b(path) } }
func or(a, b set) set        { return func(path string) bool { return a(path) || b(path) } }
func endsIn(suffix string) set {
	return func(path string) bool { return strings.HasSuffix(path, suffix) }
}
func anything(string) bool { return true }
func standardLibrary(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return !strings.Contains(first, ".") && first != module
}

const module = "lifeboat"

var (
	ours    = in(module)
	program = or(is(module), in("lifeboat/bench", "lifeboat/integration/miniotest/serverpath")) // the packages named main
	verbs   = in("lifeboat/adopt", "lifeboat/compare", "lifeboat/heal", "lifeboat/snapshot", "lifeboat/restore", "lifeboat/transfer", "lifeboat/validate", "lifeboat/drill", "lifeboat/prune")
	places  = in("lifeboat/archive", "lifeboat/internal/layout", "lifeboat/localstore", "lifeboat/remote")
	tools   = in("lifeboat/internal/durable", "lifeboat/internal/sqlitedb", "lifeboat/internal/zst", "lifeboat/internal/environ")
	tests   = or(in("lifeboat/integration", "lifeboat/bench"), endsIn("test"))
)

var importRules = []importRule{
	{
		who: in("lifeboat/manifest"), what: not(standardLibrary),
		reason: "manifest is the data model: it must be readable, and usable, without anything else of lifeboat or of others",
	}, {
		who: in("lifeboat/archive"), what: in("net", "database/sql", "modernc.org/sqlite", "lifeboat/remote", "lifeboat/localstore", "lifeboat/internal/sqlitedb"), deep: true,
		reason: "archive turns bytes into archives and back; where the bytes come from and go to is not its business",
	}, {
		who: in("lifeboat/remote"), what: and(ours, not(in("lifeboat/internal/diskspace", "lifeboat/internal/durable", "lifeboat/remote"))),
		reason: "remote moves names and bytes and knows nothing of snapshots",
	}, {
		who: places, what: verbs,
		reason: "the direction is main -> verbs -> archive, layout, localstore, remote -> manifest; what is needed below a verb belongs below it",
	}, {
		who: tools, what: and(ours, not(tools)),
		reason: "these packages wrap one power of the system or of a library and know nothing of lifeboat",
	}, {
		who: anything, what: is(module),
		reason: "the program is not a library",
	}, {
		who: not(in("lifeboat/internal/sqlitedb")), what: in("modernc.org/sqlite"),
		reason: "how a live database may be opened without harm is decided in one place, internal/sqlitedb",
	}, {
		who: not(or(in("lifeboat/remote"), in("lifeboat/integration"))), what: in("github.com/minio"),
		reason: "only remote speaks S3; everything else uses the contract remote.Store",
	}, {
		who: not(in("lifeboat/internal/zst")), what: in("github.com/klauspost/compress"),
		reason: "the bounds on what is decompressed are set in one place, internal/zst",
	}, {
		who: not(is(module)), what: in("github.com/urfave/cli"),
		reason: "only the commands in package main know of flags",
	}, {
		who: not(program), what: is("log"),
		reason: "only main prints; the others return what there is to say",
	}, {
		who: not(tests), what: or(in("lifeboat/integration", "lifeboat/bench"), in("testing", "github.com/google/go-cmp", "github.com/rogpeppe/go-internal", "github.com/syndtr/goleveldb", "go.etcd.io/bbolt", "pgregory.net/rapid")),
		reason: "what serves the tests must not become part of the program",
	},
}

var useRules = []useRule{
	{
		who: not(in("lifeboat/internal/durable")),
		names: []string{
			".Sync", ".Rename", "os.Rename", "syscall.Rename", "syscall.Fsync", "syscall.FlushFileBuffers",
			"golang.org/x/sys/unix.Rename", "golang.org/x/sys/unix.Renameat", "golang.org/x/sys/unix.Renameat2", "golang.org/x/sys/unix.RenameatxNp",
			"golang.org/x/sys/unix.Fsync", "golang.org/x/sys/unix.Fdatasync", "golang.org/x/sys/unix.Sync", "golang.org/x/sys/unix.Syncfs", "golang.org/x/sys/unix.SyncFileRange",
			"golang.org/x/sys/windows.MoveFile", "golang.org/x/sys/windows.MoveFileEx", "golang.org/x/sys/windows.FlushFileBuffers",
		},
		reason: "the order of fsync and rename decides what a crash leaves behind; it is kept in one place, internal/durable",
	}, {
		who: not(program), names: []string{"os.Exit", "syscall.Exit"},
		reason: "only main exits: elsewhere deferred clean-up must run and the caller decide",
	}, {
		who: not(program), names: []string{"fmt.Print", "fmt.Printf", "fmt.Println", "os.Stdout", "print", "println"},
		reason: "only main prints: standard output is one document under --json",
	}, {
		who: not(or(program, in("lifeboat/integration"))), names: []string{"os.Stderr"},
		reason: "only main prints: --quiet and --json decide what a person sees",
	}, {
		who: anything, names: []string{"func init"},
		reason: "no registration behind the reader's back; main wires what is used",
	},
}
