package snapshot

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"lifeboat/internal/layout"
	"lifeboat/internal/sqlitedb"
	"lifeboat/manifest"
)

// Kinds of problems, as they stand in the manifest.
const (
	problemMissing    = "missing"                // a source that is not there, or not ours to read
	problemUnreadable = layout.ProblemUnreadable // a file that could not be read
	problemLocked     = "locked"                 // a database that its application keeps locked
	problemVanished   = "vanished"               // a file that was listed and was gone when it was to be read
	problemSkipped    = "skipped"                // a socket, pipe or device
	problemChanged    = "changed"                // a file that did not settle
	problemGrew       = "grew"                   // a file that was appended to
	problemMetadata   = "metadata"               // extended attributes that could not be read
	problemUnverified = "unverified"             // a database that only its application can read
	problemHeldUp     = "held_up"                // a database whose writers could not commit for longer than they should
	problemUnready    = "not_held"               // what should hold the application still did not
	problemHook       = "hook"                   // what should let it go on did not
	problemApart      = "apart"                  // databases that are not of one instant, though writers were to be kept waiting for that
	problemTorn       = "torn"                   // a store of many files, or a database of pages, that was written to while it was read
	problemIntegrity  = "integrity"              // a database whose check could not be passed for sure
)

const problemJSON = layout.ProblemJSON // a JSON file that does not parse

// incomplete are the kinds that mean something is not in the snapshot that should be.
var incomplete = map[string]bool{problemMissing: true, problemUnreadable: true, problemLocked: true, problemUnready: true, problemTorn: true}

// whyUnread returns the kind of problem of something that could not be read.
func whyUnread(err error) string {
	if _, ok := errors.AsType[*sqlitedb.LockedError](err); ok {
		return problemLocked
	}
	return problemUnreadable
}

// problems collects what was not captured as it should be. The first MaxProblems are kept, and all are counted; corrupt
// databases come first, since "latest" goes by them.
type problems struct {
	mu    sync.Mutex
	list  []manifest.Problem
	count int64
	bad   bool // something is missing
}

func (p *problems) add(kind, source, path string, err error) {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err // the path is beside it
	}
	detail := ""
	if err != nil {
		detail = err.Error()
	}
	p.addDetail(kind, source, path, detail)
}

func (p *problems) addDetail(kind, source, path, detail string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	p.bad = p.bad || incomplete[kind]
	entry := manifest.Problem{Source: source, Path: path, Kind: kind, Detail: detail}
	if kind == layout.ProblemCorrupt {
		p.list = append([]manifest.Problem{entry}, p.list...)
	} else {
		p.list = append(p.list, entry)
	}
	if len(p.list) > manifest.MaxProblems {
		p.list = p.list[:manifest.MaxProblems]
	}
}

// forget forgets the problems of a source at what is below a path that ends with a slash, as far as they are in the list.
func (p *problems) forget(source, below string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.count == int64(len(p.list))
	before := len(p.list)
	p.list = slices.DeleteFunc(p.list, func(q manifest.Problem) bool { return q.Source == source && strings.HasPrefix(q.Path, below) })
	p.count -= int64(before - len(p.list))
	if all {
		p.bad = slices.ContainsFunc(p.list, func(q manifest.Problem) bool { return incomplete[q.Kind] })
	}
}

// sorted returns the list in an order that does not depend on which of several sources was faster.
func (p *problems) sorted() []manifest.Problem {
	slices.SortStableFunc(p.list, func(a, b manifest.Problem) int {
		if a, b := a.Kind == layout.ProblemCorrupt, b.Kind == layout.ProblemCorrupt; a != b {
			if a {
				return -1
			}
			return 1
		}
		return cmp.Or(strings.Compare(a.Source, b.Source), manifest.ComparePaths(a.Path, b.Path), strings.Compare(a.Kind, b.Kind))
	})
	return p.list
}

func (p *problems) state() manifest.State {
	if p.bad {
		return manifest.Incomplete
	}
	return manifest.Complete
}
