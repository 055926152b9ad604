// Package inuse tells which processes have files open. It is asked before files are put into the place of others: a program that has the old
// ones open goes on with them, and what it writes is lost or, worse, ends up in the new ones.
//
// SQLite's own locks don't tell enough: an idle connection in a rollback mode has none. So it is the open files that are looked at, by their
// identity, not by their name, which differs between containers. Locks are asked for besides: they tell of processes that
// are not to be seen from here.
//
// What can't be known: a program that opens the files a moment later, or for the length of each request only; one on another
// machine that has the file system mounted; one in a container or virtual machine that this system does not list.
package inuse

import (
	"cmp"
	"slices"
)

// A Holder is a process that has something open.
type Holder struct {
	PID     int    `json:"pid"`     // 0 if it can't be seen from here
	Program string `json:"program"` // its name as the kernel has it, at most 15 bytes; "" if it can't be read
	Path    string `json:"path"`    // below one of the paths that were asked for
	How     string `json:"how"`     // the first of these that is true: "locked", "open", "mapped", "unlinked"
}

// How a process has a file open.
const (
	Locked   = "locked"   // with a lock where SQLite has its locks
	Open     = "open"     // by a descriptor
	Mapped   = "mapped"   // in its memory: a library, or a file that was mapped and closed
	Unlinked = "unlinked" // open or mapped, though the file of that name was removed or replaced
)

// MostHolders is how many are listed.
const MostHolders = 100

// Found is what Look found.
type Found struct {
	Holders []Holder // by PID, then by Path; one for each process and path, at most MostHolders
	Count   int      // how many there are
	Whole   bool     // everything could be looked at
}

// Find returns who has any of paths open, at most MostHolders of them, and whether everything could be looked at; see Look.
func Find(paths []string) (holders []Holder, whole bool, err error) {
	found, err := Look(paths)
	return found.Holders, found.Whole, err
}

// Look returns who has any of paths open: files, and directories with all that lies in them. Symbolic links are not
// followed; a path that doesn't exist is open nowhere, unless it was removed from under a process. This process is left out. That a process works
// in a directory (cd) does not count.
//
// Whole is false for a user who may not see what others' processes do, in a container that has its own numbers
// of processes, where a directory or file can't be read, and on systems other than Linux, where nothing is
// looked at. An error means that the paths could not be walked.
func Look(paths []string) (Found, error) { return look(paths) }

// sum sorts what was found and cuts it.
func sum(all []Holder, whole bool) Found {
	slices.SortFunc(all, func(a, b Holder) int { return cmp.Or(a.PID-b.PID, cmp.Compare(a.Path, b.Path)) })
	count := len(all)
	return Found{Holders: all[:min(count, MostHolders):min(count, MostHolders)], Count: count, Whole: whole}
}
