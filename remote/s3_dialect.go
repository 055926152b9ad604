package remote

import (
	"context"
	"io/fs"
	"sync"

	"github.com/minio/minio-go/v7"
)

// Refusals are headers of an upload that a server was found not to take. S3 has them since 2022 and 2024; servers that
// do not know them refuse the request.
type Refusals struct {
	Condition bool // If-None-Match: the store looks first whether the key is taken
	Checksum  bool // x-amz-checksum-sha256: Content-MD5 is sent in its place
}

// refusals is what a store knows of its server.
type refusals struct {
	url     string
	learned func(url string, r Refusals)

	mu    sync.Mutex
	known Refusals
}

func newRefusals(cfg Config, url string) *refusals {
	r := &refusals{url: url, learned: cfg.Learned}
	if cfg.Recall != nil {
		r.known = cfg.Recall(url)
	}
	return r
}

func (r *refusals) get() Refusals {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known
}

// learn remembers what a server had to be spared. Of several uploads that find it out at once, one tells.
func (r *refusals) learn(found Refusals) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found = Refusals{found.Condition && !r.known.Condition, found.Checksum && !r.known.Checksum}
	if found == (Refusals{}) {
		return
	}
	r.known = Refusals{r.known.Condition || found.Condition, r.known.Checksum || found.Checksum}
	if r.learned != nil {
		r.learned(r.url, found)
	}
}

// A dialect is what is said to a server in a PUT.
type dialect struct {
	condition bool // If-None-Match
	checksum  bool // x-amz-checksum-sha256; without it Content-MD5, which is as old as S3
}

// putInTurn stores an object in the best dialect that the server takes. What had to be left out is learned when leaving it out
// has helped.
func (s *s3Store) putInTurn(ctx context.Context, p put) (err error) {
	known := s.refused.get()
	best := dialect{p.ifAbsent && !known.Condition, !known.Checksum}
	if best.condition && !p.same && s.taken(ctx, p.object) {
		return fs.ErrExist
	}
	for turns := []dialect{best}; len(turns) > 0; {
		d := turns[0]
		turns = turns[1:]
		if err = s.putAs(ctx, p, d); err == nil {
			s.refused.learn(Refusals{best.condition && !d.condition, best.checksum && !d.checksum})
			return nil
		}
		condition, checksum := refusedHeaders(err)
		condition, checksum = condition && d.condition, checksum && d.checksum
		switch {
		case condition && checksum: // the answer does not say which it meant
			turns = []dialect{{false, true}, {true, false}, {false, false}}
		case !condition && !checksum:
			return err
		case len(turns) == 0:
			turns = []dialect{{d.condition && !condition, d.checksum && !checksum}}
		}
	}
	return err
}

// taken reports that there certainly is an object. A PUT that is conditional does not need it, on a server that honours the
// condition; some accept the header and ignore it.
func (s *s3Store) taken(ctx context.Context, object string) bool {
	o, err := s.core.StatObject(ctx, s.loc.Bucket, object, minio.StatObjectOptions{})
	return err == nil && o.ETag != ""
}
