package manifest

import "fmt"

// SourceType says what a source is.
type SourceType string

const (
	SQLiteSource    SourceType = "sqlite"
	FileSource      SourceType = "file"
	DirectorySource SourceType = "directory"
)

// A Source is one thing that was captured.
type Source struct {
	Name        string     `json:"name"`
	Type        SourceType `json:"type"`
	Root        string     `json:"root,omitempty"`
	Optional    bool       `json:"optional,omitempty"`
	Consistency Level      `json:"consistency"`
	Files       int64      `json:"files,omitempty"`     // lines of the files table
	Bytes       int64      `json:"bytes,omitempty"`     // sum of their sizes
	Databases   int64      `json:"databases,omitempty"` // lines with facts about a database
	Excluded    int64      `json:"excluded,omitempty"`  // entries that were left out on purpose; a directory counts as one
}

func (s *Source) check() error {
	if err := CheckName(s.Name); err != nil {
		return fmt.Errorf("source: %w", err)
	}
	if s.Type != SQLiteSource && s.Type != FileSource && s.Type != DirectorySource {
		return invalid("source %q: type %.80q", s.Name, s.Type)
	}
	if s.Type != DirectorySource && s.Files != 1 {
		return invalid("source %q: a %s with %d files", s.Name, s.Type, s.Files)
	}
	if s.Files < 1 || s.Bytes < 0 || s.Databases < 0 || s.Excluded < 0 {
		return invalid("source %q: %d files of %d bytes, %d databases", s.Name, s.Files, s.Bytes, s.Databases)
	}
	if err := (Consistency{Level: s.Consistency}).check(); err != nil {
		return fmt.Errorf("source %q: %w", s.Name, err)
	}
	return nil
}

// Source returns the source of that name, or nil.
func (h *Head) Source(name string) *Source {
	for i := range h.Sources {
		if h.Sources[i].Name == name {
			return &h.Sources[i]
		}
	}
	return nil
}
