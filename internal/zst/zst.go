// Package zst is lifeboat's use of zstd: whole frames, each with its content size and a checksum, encoded and
// decoded in one call. It is the only importer of the codec.
//
// Frames are independent of each other, so any number of goroutines may use one Encoder or Decoder.
package zst

import (
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Level is how hard an Encoder tries. The zero value is the recommended one; docs/decisions/0087 has the figures.
type Level int

const (
	Fastest Level = iota // the fastest that finds repetitions, like level 1 of zstd
	Default              // like level 3, what zstd does when nothing is said
	Better               // like level 7
	Off                  // the bytes as they are, in a frame
)

// An Encoder makes frames.
type Encoder struct{ enc *zstd.Encoder } // nil: it compresses nothing

// NewEncoder returns an Encoder for up to n goroutines at once.
func NewEncoder(level Level, n int) (*Encoder, error) {
	if level == Off {
		return &Encoder{}, nil
	}
	speed := map[Level]zstd.EncoderLevel{Fastest: zstd.SpeedFastest, Default: zstd.SpeedDefault, Better: zstd.SpeedBetterCompression}[level]
	enc, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(speed),
		zstd.WithEncoderConcurrency(n),
		zstd.WithEncoderCRC(true),
		zstd.WithZeroFrames(true),
		zstd.WithWindowSize(1<<20), // a frame is no longer; a larger window only costs memory
		// Also where nothing repeats, bytes may be of unequal frequency: those of vectors of floating-point numbers are.
		zstd.WithAllLitEntropyCompression(true),
	)
	if err != nil {
		return nil, fmt.Errorf("set up zstd encoder: %w", err)
	}
	return &Encoder{enc}, nil
}

// Encode appends src to dst as one frame.
func (e *Encoder) Encode(dst, src []byte) []byte {
	if e.enc == nil {
		return appendRaw(dst, src)
	}
	return e.enc.EncodeAll(src, dst)
}

// A Decoder reads frames.
type Decoder struct{ dec *zstd.Decoder }

// NewDecoder returns a Decoder for up to n goroutines at once.
func NewDecoder(n int) (*Decoder, error) {
	dec, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(n),
		zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderMaxWindow(8<<20),
	)
	if err != nil {
		return nil, fmt.Errorf("set up zstd decoder: %w", err)
	}
	return &Decoder{dec}, nil
}

// ErrCorrupt marks bytes that are no zstd frame, fail its checksum, or decode to more than was allowed.
var ErrCorrupt = errors.New("damaged zstd data")

// Decode decodes src into dst[:0] and returns it. It never returns more than cap(dst) bytes: what would is
// ErrCorrupt, before memory is taken for it.
func (d *Decoder) Decode(dst, src []byte) ([]byte, error) {
	out, err := d.dec.DecodeAll(src, dst[:0])
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrCorrupt, err)
	}
	return out, nil
}

// DecodeBounded decodes one frame that says its content size, of at most limit bytes.
func (d *Decoder) DecodeBounded(src []byte, limit int) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(src); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrCorrupt, err)
	}
	if !h.HasFCS || h.FrameContentSize > uint64(limit) {
		return nil, fmt.Errorf("%w: its content is not said to be at most %d bytes", ErrCorrupt, limit)
	}
	return d.Decode(make([]byte, 0, h.FrameContentSize), src)
}
