package remote

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A contentRange is the header that says which part of an object an answer holds.
type contentRange struct {
	first, last int64
	total       int64 // -1: not known
}

// parseContentRange reads "bytes 0-99/1234" (RFC 9110, 14.4).
func parseContentRange(s string) (contentRange, error) {
	bad := fmt.Errorf("Content-Range %.60q: %w", s, errNotS3)
	span, total, ok := strings.Cut(strings.TrimPrefix(s, "bytes "), "/")
	from, to, ok2 := strings.Cut(span, "-")
	if !ok || !ok2 {
		return contentRange{}, bad
	}
	r := contentRange{total: -1}
	var errs [3]error
	r.first, errs[0] = strconv.ParseInt(from, 10, 64)
	r.last, errs[1] = strconv.ParseInt(to, 10, 64)
	if total != "*" {
		r.total, errs[2] = strconv.ParseInt(total, 10, 64)
	}
	if errors.Join(errs[:]...) != nil || r.first < 0 || r.last < r.first || r.total >= 0 && r.last >= r.total {
		return contentRange{}, bad
	}
	return r, nil
}

// checkContentRange returns how many bytes come, and fails unless they are those that were asked for.
// Servers cut a range that goes beyond the end.
func checkContentRange(s string, off, n int64) (int64, error) {
	if s == "" {
		return 0, &unavailable{what: "the server does not serve ranges of objects", next: "is there a proxy between that drops the Range header?"}
	}
	r, err := parseContentRange(s)
	if err != nil {
		return 0, err
	}
	got := r.last - r.first + 1
	switch {
	case r.first == off && n > 0 && got < n && r.last+1 == r.total:
		return 0, &rangeError{off, n, r.total}
	case r.first != off, n > 0 && got != n, n < 0 && r.total >= 0 && r.last+1 != r.total:
		return 0, fmt.Errorf("asked for %d bytes from %d on, Content-Range is %.60q: %w", n, off, s, errNotS3)
	}
	return got, nil
}
