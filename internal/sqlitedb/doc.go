// Package sqlitedb reads SQLite databases as they are at one instant, while other programs write them,
// and leaves no trace beside them. It is the only importer of the SQLite driver.
//
// Pin holds one read transaction on a database. What Stream, QuickCheck and ReadFacts then see is one
// state: every transaction committed before the pin, none after, whether its bytes lie in the file or still
// in the write-ahead log. Stream gives the pages in order, so that the file they make is byte for byte
// what a checkpoint at that instant would have left.
//
// Where neither a log nor a lock has a say, Stream reads the file itself.
//
// # What a source is spared
//
// A source is never opened for writing, so it can't be checkpointed, recovered or converted by us; all
// that moves are the read marks in its -shm, which every reader moves (and which, after a crash, the first
// reader makes anew). Nor does anything change its owner, as SQLite would see to when root reads (see keepOwners). Which of the ways to
// read it is taken follows from its sidecars (see way), because each of the simple answers is wrong
// somewhere: a read-only connection creates -wal and -shm beside a WAL database that nobody has
// open, an immutable one silently ignores the log (https://www.sqlite.org/uri.html#uriimmutable), and
// neither may roll back a hot journal.
//
// A writer in WAL mode is never blocked and never sees an error; its log grows while the pin lasts
// (WALGrowth), for a checkpoint can't reset it. A writer in a rollback mode can't commit while the pin lasts, until Detach lets
// it go: see there how a copy that is made in slices is one state.
//
// # Locks
//
// POSIX locks belong to the process: closing any descriptor of a file drops every lock that the process has
// on it (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
// A file that was read and closed while SQLite had it open would leave SQLite reading without a lock. So
//
//   - the -shm of a source is never opened but by SQLite itself;
//   - the descriptor through which Pin looks at the database stays open until SQLite has closed its own;
//   - on Linux, SQLite uses open file description locks, which other descriptors can't drop.
//
// Callers keep the same rule: they don't open a database, nor its -shm, while it is pinned. Where there
// are no such locks (everywhere but Linux), one database must not be pinned twice at a time by one process.
package sqlitedb
