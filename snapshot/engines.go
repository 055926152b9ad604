package snapshot

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// An engine is a kind of store whose files are one state only together, recognised by how its directory looks. docs/operations.md says which of
// them are run in the tests, and which are only recognised.
type engine struct {
	name string
	is   func(names []string, has func(name string) bool) bool

	// part reports an entry of the directory that is part of the store, with all below it. SQLite's databases are none: they are pinned.
	part func(name string) bool
	// grows reports a file that is only appended to, and of which any beginning will do, as of the log of an engine that recovers; nil for none.
	grows func(name string) bool
	// check returns what is wrong with the files of a store that is at rest; nil for no check.
	check func(root *os.Root) error
}

func everything(string) bool { return true }

func begins(prefix string) func(string) bool {
	return func(name string) bool { return strings.HasPrefix(name, prefix) }
}

var engines = []engine{
	{
		// https://cookbook.chromadb.dev/core/storage-layout/: chroma.sqlite3, and for each vector index a directory that is named by a UUID.
		name:  "Chroma",
		is:    func(_ []string, has func(string) bool) bool { return has("chroma.sqlite3") },
		part:  func(name string) bool { return uuid.Validate(name) == nil },
		check: checkIndexes,
	}, {
		// https://github.com/google/leveldb/blob/main/doc/impl.md: tables and manifests never change, and a log is read up to where it was torn. Between
		// two looks that see the same tables, manifest and logs, all of that is one state, with as much of the log as there was.
		name: "LevelDB or RocksDB",
		is: func(names []string, has func(string) bool) bool {
			return has("CURRENT") && slices.ContainsFunc(names, begins("MANIFEST-"))
		},
		part: func(name string) bool {
			switch filepath.Ext(name) {
			case ".ldb", ".sst", ".log", ".blob":
				return true
			}
			return name == "CURRENT" || strings.HasPrefix(name, "MANIFEST-")
		},
		grows: func(name string) bool { return strings.HasSuffix(name, ".log") },
	}, {
		// https://duckdb.org/docs/stable/internals/storage.html: the log is NAME.wal.
		name: "DuckDB",
		is: func(names []string, has func(string) bool) bool {
			return slices.ContainsFunc(names, func(name string) bool { return isDuckLog(name) && has(strings.TrimSuffix(name, ".wal")) })
		},
		part: func(name string) bool { return isDuckLog(name) || isDuckLog(name+".wal") },
	}, {
		// https://lancedb.github.io/lance/format/table/: versions that refer to fragments, none of which changes.
		name: "Lance",
		is:   func(_ []string, has func(string) bool) bool { return has("_versions") && has("data") },
		part: everything,
	}, {
		// https://qdrant.tech/documentation/concepts/storage/
		name: "Qdrant",
		is:   func(_ []string, has func(string) bool) bool { return has("raft_state.json") && has("collections") },
		part: everything,
	},
}

func isDuckLog(name string) bool {
	switch filepath.Ext(strings.TrimSuffix(name, ".wal")) {
	case ".duckdb", ".ddb", ".db":
		return strings.HasSuffix(name, ".wal")
	}
	return false
}

// engineOf returns the engine whose store a directory with these entries, ascending, is; nil for none.
func engineOf(names []string) *engine {
	has := func(name string) bool {
		_, there := slices.BinarySearch(names, name)
		return there
	}
	for i := range engines {
		if engines[i].is(names, has) {
			return &engines[i]
		}
	}
	return nil
}

// pagedBy returns the engine whose database a single file is, by its first bytes; "" for none. A copy of such a file that was made while it was
// written to may be of no use.
func pagedBy(f io.ReaderAt) string {
	head := make([]byte, 24)
	if n, err := f.ReadAt(head, 0); n < len(head) && err != nil {
		return ""
	}
	magic := binary.LittleEndian.Uint32(head[16:])
	switch {
	case magic == 0xED0CDAED: // https://github.com/etcd-io/bbolt, internal/common: Magic, behind the header of page 0
		return "bbolt"
	case magic == 0xBEEFC0DE: // LMDB, mdb.c: MDB_MAGIC, likewise
		return "LMDB"
	case bytes.Equal(head[8:12], []byte("DUCK")):
		return "DuckDB"
	}
	return ""
}
