package manifest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// A Hash is a SHA-256.
type Hash [sha256.Size]byte

// HashOf returns the SHA-256 of data.
func HashOf(data []byte) Hash { return sha256.Sum256(data) }

// ParseHash reads 64 lower-case hexadecimal digits.
func ParseHash(s string) (Hash, error) {
	var h Hash
	err := h.UnmarshalText([]byte(s))
	return h, err
}

// String returns 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is unset.
func (h Hash) IsZero() bool { return h == Hash{} }

func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) == 2*len(h) && !bytes.ContainsAny(text, "ABCDEF") {
		if _, err := hex.Decode(h[:], text); err == nil {
			return nil
		}
	}
	*h = Hash{}
	return fmt.Errorf("%.80q is not a SHA-256: want 64 lower-case hexadecimal digits", text)
}

// A Stamp is the time of a snapshot, to the second, in UTC: "20060102T150405Z". Stamps order like the
// times that they are.
type Stamp string

const stampLayout = "20060102T150405Z"

// StampOf returns the stamp of t.
func StampOf(t time.Time) Stamp { return Stamp(t.UTC().Format(stampLayout)) }

// ParseStamp reads a stamp.
func ParseStamp(s string) (Stamp, error) {
	t, err := time.Parse(stampLayout, s)
	if err != nil || StampOf(t) != Stamp(s) {
		return "", fmt.Errorf("%.80q is not a stamp: want the form %s", s, stampLayout)
	}
	return Stamp(s), nil
}

// Time returns the stamp as a time.
func (s Stamp) Time() time.Time {
	t, _ := time.Parse(stampLayout, string(s))
	return t
}

func (s Stamp) String() string { return string(s) }

func (s *Stamp) UnmarshalText(text []byte) (err error) {
	*s, err = ParseStamp(string(text))
	return err
}

// An ID names one snapshot, everywhere and for ever: its stamp, and the SHA-256 of its manifest as stored.
type ID struct {
	Stamp  Stamp `json:"stamp"`
	SHA256 Hash  `json:"sha256"`
}

// ParseID reads the form that String writes.
func ParseID(s string) (ID, error) {
	stamp, hash, ok := strings.Cut(s, "-")
	if !ok {
		return ID{}, fmt.Errorf("%.80q is not a snapshot ID: want <stamp>-<sha256>", s)
	}
	var id ID
	var err error
	if id.Stamp, err = ParseStamp(stamp); err != nil {
		return ID{}, err
	}
	if id.SHA256, err = ParseHash(hash); err != nil {
		return ID{}, err
	}
	return id, nil
}

// String returns "<stamp>-<sha256>".
func (id ID) String() string { return string(id.Stamp) + "-" + id.SHA256.String() }

// Compare orders IDs by time, then by hash.
func (id ID) Compare(other ID) int {
	return cmp.Or(strings.Compare(string(id.Stamp), string(other.Stamp)), bytes.Compare(id.SHA256[:], other.SHA256[:]))
}
