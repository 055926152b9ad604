package manifest

// An Archive is one line of the archives table: what a reader must know of an archive to read any part of it.
type Archive struct {
	SHA256 Hash    `json:"sha256"`         // of the stored bytes; its name
	Size   int64   `json:"size"`           // stored bytes
	Length int64   `json:"length"`         // bytes of the tar stream
	Frames []int64 `json:"frames"`         // compressed bytes of each frame, in order
	Index  Index   `json:"index"`          // where the chunk index is
	Data   int64   `json:"data,omitempty"` // bytes of files, maps and pieces in it
}

// An Index is where the content of `.lifeboat/chunks` lies in the tar stream, and its digest.
type Index struct {
	Off, Len int64
	SHA256   Hash
}

func (x Index) MarshalJSON() ([]byte, error) { return marshalTuple(x.Off, x.Len, x.SHA256) }

func (x *Index) UnmarshalJSON(data []byte) error {
	return unmarshalTuple(data, &x.Off, &x.Len, &x.SHA256)
}

// Check reports why a description cannot be right, or nil.
func (a *Archive) Check() error {
	if a.SHA256.IsZero() {
		return invalid("archive without sha256")
	}
	if a.Size < 1 || a.Size > MaxArchive || a.Length < 1 || a.Length > MaxArchive {
		return invalid("archive %s: size %d, length %d", a.SHA256, a.Size, a.Length)
	}
	if want := (a.Length + FrameSize - 1) / FrameSize; int64(len(a.Frames)) != want {
		return invalid("archive %s: %d frames for %d bytes, want %d", a.SHA256, len(a.Frames), a.Length, want)
	}
	rest := a.Size
	for _, n := range a.Frames {
		if n > MaxFrame {
			return invalid("archive %s: frame of %d bytes, more than %d", a.SHA256, n, MaxFrame)
		}
		if n < 1 || n > rest {
			return invalid("archive %s: frames do not add up to %d bytes", a.SHA256, a.Size)
		}
		rest -= n
	}
	if rest != 0 {
		return invalid("archive %s: frames do not add up to %d bytes", a.SHA256, a.Size)
	}
	if a.Index.Off < 0 || a.Index.Len < 0 || a.Index.Off > a.Length || a.Index.Len > a.Length-a.Index.Off {
		return invalid("archive %s: index outside it", a.SHA256)
	}
	if a.Data < 0 || a.Data > a.Length {
		return invalid("archive %s: %d bytes of data in %d", a.SHA256, a.Data, a.Length)
	}
	return nil
}

// Contains reports an extent that does not lie inside the archive.
func (a *Archive) Contains(off, n int64) error {
	if off < 0 || n < 0 || off > a.Length || n > a.Length-off {
		return invalid("extent of %d bytes at %d outside archive %s of %d", n, off, a.SHA256, a.Length)
	}
	return nil
}
