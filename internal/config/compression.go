package config

import (
	"fmt"
	"slices"
)

// Compression is how hard archives are compressed: see docs/decisions/0087. The zero value leaves it to the program.
type Compression string

// What a Compression may be. "default" is what zstd does by default.
const (
	CompressFastest Compression = "fastest"
	CompressDefault Compression = "default"
	CompressBetter  Compression = "better"
	CompressOff     Compression = "off" // not at all
)

// ParseCompression reads one of these.
func ParseCompression(text string) (Compression, error) {
	c := Compression(text)
	if !slices.Contains([]Compression{CompressFastest, CompressDefault, CompressBetter, CompressOff}, c) {
		return "", fmt.Errorf("%.40q: want fastest, default, better or off", text)
	}
	return c, nil
}
