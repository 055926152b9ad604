package sqlitedb

import "encoding/binary"

// A header is what the first page says of the database. See
// https://www.sqlite.org/fileformat2.html#the_database_header.
type header struct {
	pageSize      int
	journalMode   string
	userVersion   int32
	applicationID int32
}

// SaysWAL reports whether the first bytes of a database say that it is in WAL mode.
func SaysWAL(header []byte) bool {
	return len(header) > 19 && IsDatabase(header) && header[19] == walVersion
}

func parseHeader(page1 []byte) header {
	if len(page1) < headerSize { // no pages at all
		return header{journalMode: "delete"}
	}
	h := header{
		pageSize:      int(binary.BigEndian.Uint16(page1[16:])),
		journalMode:   "delete",
		userVersion:   int32(binary.BigEndian.Uint32(page1[60:])),
		applicationID: int32(binary.BigEndian.Uint32(page1[68:])),
	}
	if h.pageSize == 1 {
		h.pageSize = 65536
	}
	if page1[19] == walVersion {
		h.journalMode = "wal"
	}
	return h
}
