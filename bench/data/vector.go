package data

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// dimension of the embeddings: that of the small sentence transformers, such as Chroma's default.
const dimension = 384

// appendVector appends a random unit vector as little-endian float32.
func appendVector(b []byte, rnd *rand.Rand) []byte {
	var v [dimension]float64
	sum := 0.0
	for i := range v {
		v[i] = rnd.NormFloat64()
		sum += v[i] * v[i]
	}
	scale := 1 / math.Sqrt(sum)
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(x*scale)))
	}
	return b
}
