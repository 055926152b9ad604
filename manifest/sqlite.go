package manifest

// SQLite holds what was found out about a database in the transaction that was captured.
type SQLite struct {
	PageSize      int         `json:"page_size,omitempty"`
	Pages         int64       `json:"pages,omitempty"`
	JournalMode   string      `json:"journal_mode,omitempty"`
	Found         string      `json:"found,omitempty"` // the state that it was in; see docs/format.md, section 4.3
	Read          string      `json:"read,omitempty"`  // and how it was read
	UserVersion   int64       `json:"user_version,omitempty"`
	ApplicationID int64       `json:"application_id,omitempty"`
	SchemaSHA256  *Hash       `json:"schema_sha256,omitempty"`
	Integrity     string      `json:"integrity,omitempty"` // ok, degraded, unverifiable or corrupt
	Detail        string      `json:"detail,omitempty"`
	ForeignKeys   int64       `json:"foreign_keys,omitempty"` // violations
	Tables        []TableRows `json:"tables,omitempty"`
}

// TableRows is the number of rows of one table, as ["name", rows] in JSON.
type TableRows struct {
	Name string
	Rows int64
}

func (t TableRows) MarshalJSON() ([]byte, error) { return marshalTuple(t.Name, t.Rows) }

func (t *TableRows) UnmarshalJSON(data []byte) error { return unmarshalTuple(data, &t.Name, &t.Rows) }

func (s *SQLite) check() error {
	switch s.Integrity {
	case "", "ok", "degraded", "unverifiable", "corrupt":
	default:
		return invalid("integrity %.80q", s.Integrity)
	}
	if s.PageSize < 0 || s.Pages < 0 || s.ForeignKeys < 0 {
		return invalid("%d pages of %d bytes, %d foreign keys violated", s.Pages, s.PageSize, s.ForeignKeys)
	}
	for _, t := range s.Tables {
		if t.Rows < 0 {
			return invalid("table %.300q has %d rows", t.Name, t.Rows)
		}
	}
	return nil
}
