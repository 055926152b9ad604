package manifest

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// A Timestamp is a time in nanoseconds since 1970, written as seconds with nine decimals.
type Timestamp int64

// TimestampOf returns t as a Timestamp, or the nearest time that one can hold: they reach from the year 1677 to 2262, and
// file systems beyond.
func TimestampOf(t time.Time) Timestamp {
	switch {
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return Timestamp(t.UnixNano())
}

// Time returns the timestamp as a time.
func (t Timestamp) Time() time.Time { return time.Unix(0, int64(t)) }

func (t Timestamp) MarshalText() ([]byte, error) { return t.append(make([]byte, 0, 24)), nil }

func (t Timestamp) append(b []byte) []byte {
	n := uint64(t)
	if t < 0 {
		b, n = append(b, '-'), -n
	}
	b = strconv.AppendUint(b, n/1e9, 10)
	b = strconv.AppendUint(b, 1e9+n%1e9, 10) // nine digits behind a one, in whose place the point belongs
	b[len(b)-10] = '.'
	return b
}

func (t *Timestamp) UnmarshalText(text []byte) error {
	whole, frac, ok := strings.Cut(string(text), ".")
	n, err := strconv.ParseInt(whole+frac, 10, 64)
	if !ok || len(frac) != 9 || err != nil {
		return invalid("time %.80q: want seconds with nine decimals", text)
	}
	if again, _ := Timestamp(n).MarshalText(); string(again) != string(text) {
		return invalid("time %.80q is not written canonically", text)
	}
	*t = Timestamp(n)
	return nil
}

// octal is a mode, written "0644".
type octal uint32

func (o octal) MarshalText() ([]byte, error) { return o.append(make([]byte, 0, 4)), nil }

func (o octal) append(b []byte) []byte {
	return append(b, '0'+byte(o>>9&7), '0'+byte(o>>6&7), '0'+byte(o>>3&7), '0'+byte(o&7))
}

func (o *octal) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 12)
	if err != nil || len(text) != 4 {
		return invalid("mode %.80q: want four octal digits", text)
	}
	*o = octal(n)
	return nil
}
