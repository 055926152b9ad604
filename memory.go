package main

import (
	"math"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/config"
)

// The peak memory of a run is what its parts hold at once, which is bounded by how many there are, and what Go's garbage collector lets
// pile up before it cleans. --max-memory sets both. Measured, not promised: see docs/decisions/0021-memory.md.
const (
	leastMemory = 72 << 20 // with one of everything
	besideHeap  = 20 << 20 // what the process has beside Go's heap: its own pages, SQLite's memory
	firstWorker = 68 << 20 // what a backup takes that encodes on one processor
	eachWorker  = 10 << 20 // and on one more
)

func memoryFlag() cli.Flag {
	return &cli.StringFlag{Name: "max-memory", Usage: "keep to about `SIZE` of memory, at least 72MiB (default: as the work takes)", EnvVars: []string{"LIFEBOAT_MAX_MEMORY"}}
}

// bound makes the run keep to its memory. GOMEMLIMIT counts too, where it is lower.
func (l *limits) bound() error {
	most := int64(l.Memory)
	if most != 0 && most < leastMemory {
		return usagef("", "a memory of %s is too little to work with: want at least %s", l.Memory, config.Size(leastMemory))
	}
	heap := debug.SetMemoryLimit(-1) // as GOMEMLIMIT says
	if most != 0 && most-besideHeap < heap {
		heap = most - besideHeap
		debug.SetMemoryLimit(heap)
	}
	l.workers = runtime.GOMAXPROCS(0)
	if heap != math.MaxInt64 {
		l.workers = int(min(int64(l.workers), 1+max(0, heap+besideHeap-firstWorker)/eachWorker))
	}
	return nil
}
