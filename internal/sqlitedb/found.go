package sqlitedb

// Found is the state in which a database was found, from which it follows how it was read.
type Found string

const (
	// FoundEmpty: no bytes at all, which are a database without tables.
	FoundEmpty Found = "empty"
	// FoundLiveWAL: in WAL mode, and somebody has it open. Where the system can't tell whether somebody has, also FoundCrashedWAL.
	FoundLiveWAL Found = "live-wal"
	// FoundColdWAL: in WAL mode, without a log; nobody has it open, or nothing was written since.
	FoundColdWAL Found = "cold-wal"
	// FoundCrashedWAL: a log was left beside it by an application that did not end in order, or by somebody who copied both.
	FoundCrashedWAL Found = "crashed-wal"
	// FoundRollback: in one of the rollback modes, whether or not somebody has it open.
	FoundRollback Found = "rollback"
	// FoundHotJournal: a transaction was cut off in the middle, and must be rolled back.
	FoundHotJournal Found = "hot-journal"
)

// Found returns in which state the database was found.
func (p *Pinned) Found() Found { return p.source.found }

// Read is how a database is read that is pinned.
type Read string

const (
	// ReadLocked: in a transaction, under SQLite's locks.
	ReadLocked Read = "transaction"
	// ReadUnlocked: without locks, and it is proved afterwards that nobody touched it.
	ReadUnlocked Read = "unlocked"
	// ReadCopy: from a copy that was made of it first, and into which what lay beside the database was played.
	ReadCopy Read = "copy"
	// ReadSlices: from a copy that was made in several transactions, and compared with the database until all of it was of one state.
	ReadSlices Read = "slices"
)

// Read returns how the database is read.
func (p *Pinned) Read() Read {
	switch {
	case p.slices > 1:
		return ReadSlices
	case p.staged != "":
		return ReadCopy
	case p.guard != nil || p.conn == nil:
		return ReadUnlocked
	}
	return ReadLocked
}
