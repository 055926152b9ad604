package manifest

import "fmt"

// check holds a head to the rules, when it is read and when it is written.
func (h *Head) check() error {
	if h.Format != Format {
		return invalid("format %.80q", h.Format)
	}
	if _, err := ParseStamp(string(h.Stamp)); err != nil {
		return invalid("%v", err)
	}
	if h.Previous != nil {
		if _, err := ParseID(h.Previous.String()); err != nil || h.Previous.SHA256.IsZero() {
			return invalid("previous snapshot %q", h.Previous)
		}
	}
	if err := CheckName(h.App); err != nil {
		return fmt.Errorf("app: %w", err)
	}
	if h.Kind != Backup && h.Kind != Safety && h.Kind != Adopted {
		return invalid("kind %.80q", h.Kind)
	}
	if h.State != Complete && h.State != Incomplete {
		return invalid("state %.80q", h.State)
	}
	if len(h.Problems) > MaxProblems {
		return invalid("%d problems, more than %d", len(h.Problems), MaxProblems)
	}
	if h.ProblemCount < int64(len(h.Problems)) {
		return invalid("problem_count %d for %d problems", h.ProblemCount, len(h.Problems))
	}
	if err := h.Consistency.check(); err != nil {
		return err
	}
	if err := h.checkSources(); err != nil {
		return err
	}
	roots := make(map[Hash]bool, len(h.Roots))
	for i := range h.Roots {
		r := &h.Roots[i]
		if err := r.Check(); err != nil {
			return fmt.Errorf("root %d: %w", i, err)
		}
		if roots[r.SHA256] {
			return invalid("root %s occurs twice", r.SHA256)
		}
		roots[r.SHA256] = true
	}
	if err := h.checkPieces(&h.Files, CheckPath, ComparePaths); err != nil {
		return fmt.Errorf("files table: %w", err)
	}
	if err := h.checkPieces(&h.Archives, checkHash, compareHashes); err != nil {
		return fmt.Errorf("archives table: %w", err)
	}
	return h.Stats.check()
}

// checkSources checks the sources, their order and their sums.
func (h *Head) checkSources() error {
	last := ""
	var files, bytes int64
	for _, s := range h.Sources {
		if err := s.check(); err != nil {
			return err
		}
		if s.Name <= last {
			return invalid("source %q is out of order", s.Name)
		}
		last = s.Name
		if files, bytes = files+s.Files, bytes+s.Bytes; files < 0 || bytes < 0 {
			return invalid("sources sum up to more than fits")
		}
	}
	if files != h.Files.Count || bytes != h.Files.Bytes {
		return invalid("sources have %d files of %d bytes, the table %d of %d", files, bytes, h.Files.Count, h.Files.Bytes)
	}
	return nil
}

func (s *Stats) check() error {
	const most = 1 << 53 // up to here a float64 holds every integer, and is written as one
	if min(s.Bytes, s.NewBytes, s.StoredBytes, s.ArchivesNew, s.PinMS, s.WALGrowth, s.WriterBlockMS) < 0 || !(s.Seconds >= 0 && s.Seconds <= most) {
		return invalid("stats %+v", *s)
	}
	return nil
}

func (c Consistency) check() error {
	if c.Level != Transactional && c.Level != Stable && c.Level != Fuzzy || c.SkewUS < 0 {
		return invalid("consistency %.80q with a skew of %d µs", c.Level, c.SkewUS)
	}
	return nil
}
