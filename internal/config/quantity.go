package config

import (
	"encoding"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"go.yaml.in/yaml/v3"
)

// A Duration is a time in the file, such as 15m. The zero value stands for the default; a negative one is written 0s, and means
// none.
type Duration time.Duration

// ParseDuration reads a time such as 30s, 15m or 1h30m, or 0s.
func ParseDuration(text string) (Duration, error) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil, d < 0:
		return 0, fmt.Errorf("%.40q: want a time such as 30s, 15m or 1h", text)
	case d == 0:
		return -1, nil
	}
	return Duration(d), nil
}

func (d Duration) String() string { return max(0, time.Duration(d)).String() }

// MarshalText writes the time as the file has it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// A Size is a number of bytes. The zero value stands for the default.
type Size int64

// ParseSize reads a size such as 512MiB, 10G or 1.5 GiB: K, M, G with or without B are powers of 1000, and with iB of 1024.
func ParseSize(text string) (Size, error) {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > 1<<62 || strings.TrimSpace(text) != text {
		return 0, fmt.Errorf("%.40q: want a size such as 512MiB or 10G", text)
	}
	return Size(n), nil
}

func (s Size) String() string {
	return strings.Replace(strings.ReplaceAll(humanize.IBytes(uint64(s)), " ", ""), ".0", "", 1)
}

// MarshalText writes the size to the byte.
func (s Size) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%dB", int64(s)), nil }

// A Rate is a number of bytes per second. The zero value means as many as go.
type Rate int64

// leastRate is the lowest rate, in bytes per second. Who says less has left out the unit.
const leastRate = 1000

// ParseRate reads a rate: a size as [ParseSize] reads it, with or without /s, or 0 for no limit.
func ParseRate(text string) (Rate, error) {
	n, err := ParseSize(strings.TrimSuffix(text, "/s"))
	switch {
	case err != nil:
		return 0, fmt.Errorf("%.40q: want bytes per second, such as 2MiB or 500K", text)
	case n > 0 && n < leastRate:
		return 0, fmt.Errorf("%s is %d bytes per second, too little to get on: give a unit, such as %dK", text, n, n)
	}
	return Rate(n), nil
}

// ParseBandwidth reads the speed of a line: as ParseRate does, or in bits per second, as in 100Mbit.
func ParseBandwidth(text string) (Rate, error) {
	if bits, ok := strings.CutSuffix(strings.TrimSuffix(text, "/s"), "bit"); ok {
		n, err := ParseSize(bits)
		if err == nil && n >= 8*leastRate {
			return Rate(n / 8), nil
		}
		return 0, fmt.Errorf("%.40q: want a bandwidth such as 100Mbit or 12MiB", text)
	}
	r, err := ParseRate(text)
	if err != nil || r == 0 {
		return 0, fmt.Errorf("%.40q: want a bandwidth such as 100Mbit or 12MiB", text)
	}
	return r, nil
}

func (r Rate) String() string { return Size(r).String() + "/s" }

// MarshalText writes the rate to the byte.
func (r Rate) MarshalText() ([]byte, error) { return Size(r).MarshalText() }

// In JSON, times are numbers of seconds, and sizes and rates numbers of bytes.

func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(max(0, time.Duration(d)).Seconds())
}

func (s Size) MarshalJSON() ([]byte, error) { return strconv.AppendInt(nil, int64(s), 10), nil }
func (r Rate) MarshalJSON() ([]byte, error) { return Size(r).MarshalJSON() }

// Quantities are written as text elsewhere.
var _ = []encoding.TextMarshaler{Duration(0), Size(0), Rate(0)}

// quantity reads a value that has a unit.
func quantity[T any](r *reader, what string, parse func(string) (T, error), dst *T) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode {
			r.fail(n, "%s is %s, want a number with its unit", what, kindOf(n))
			return
		}
		v, err := parse(n.Value)
		if err != nil {
			r.fail(n, "%s: %s", what, err)
			return
		}
		*dst = v
	}
}

// mostConcurrency is far more than any line and server can use.
const mostConcurrency = 64

var errConcurrency = fmt.Errorf("want how many archives are on their way at once, from 1 to %d", mostConcurrency)

// ParseConcurrency reads how many archives may be on their way at once.
func ParseConcurrency(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > mostConcurrency {
		return 0, fmt.Errorf("%.40q: %w", text, errConcurrency)
	}
	return n, nil
}
