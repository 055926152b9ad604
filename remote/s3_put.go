package remote

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/minio/minio-go/v7"
)

// maxPut is the most that S3 takes in one PUT.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html
const maxPut = 5 << 30

// Put sends the object in a single request, whatever its size: an upload in parts cannot be conditional
// everywhere, leaves litter behind, and has no SHA-256 of the whole.
//
// The server checks the content twice. The request is signed over the SHA-256 of the payload
// (x-amz-content-sha256), which every server of signature version 4 has to verify; that needs no
// chunked framing, which some servers store or refuse. And the SHA-256 is sent as
// x-amz-checksum-sha256, which newer servers verify, keep, and return on HEAD. Both are headers with a value
// known beforehand, so they are the same in every attempt; minio-go's own trailing checksum is wrong after a retry.
func (s *s3Store) Put(ctx context.Context, key string, body Body, opts PutOptions) (err error) {
	defer s.explain(ctx, &err, "put", key)
	object, err := s.object(key)
	if err != nil {
		return err
	}
	if body.Size > maxPut {
		return fmt.Errorf("%d bytes are more than the %d that S3 takes at once: %w", body.Size, int64(maxPut), fs.ErrInvalid)
	}
	src, err := newSource(body)
	if err != nil {
		return err
	}
	defer src.shut()
	p := put{key: key, object: object, src: src, ifAbsent: opts.IfAbsent, same: opts.Same}
	return s.putInTurn(ctx, p)
}

// A put is one object on its way.
type put struct {
	key, object string
	src         *source
	ifAbsent    bool
	same        bool // see PutOptions
}

// putAs stores the object in one dialect.
//
// A conditional PUT whose answer was lost and that is repeated finds its own object there, and the
// server answers 412. Only in that case, after an attempt of this very call that had no definite
// answer, the object that is there is compared, and if it is byte for byte the one to be stored the
// call has done what it was asked to do: whoever wrote it, no reader can tell the difference. A 412 without such an
// attempt is fs.ErrExist even if the content is the same, since then the key was taken before.
func (s *s3Store) putAs(ctx context.Context, p put, d dialect) error {
	if p.ifAbsent && !d.condition && !p.same {
		if _, err := s.Stat(ctx, p.key); err == nil {
			return fs.ErrExist
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	md5 := ""
	if !d.checksum {
		sum, err := p.src.md5(ctx)
		if err != nil {
			return err
		}
		md5 = base64.StdEncoding.EncodeToString(sum)
	}
	ambiguous := false
	return s.try(ctx, func() error {
		err := s.send(ctx, p, d, md5)
		switch {
		case err == nil:
			return nil
		case p.src.failed() != nil:
			return p.src.failed()
		case d.condition && isPrecondition(err):
			if !ambiguous {
				return fs.ErrExist
			}
			return s.checkOwn(ctx, p)
		case isBadDigest(err):
			// Damaged on this side, or on the way? The latter passes.
			if err := p.src.copyTo(ctx, io.Discard); err != nil {
				return err
			}
		case !isDefinite(err):
			ambiguous = true
		}
		return err
	})
}

func (s *s3Store) send(ctx context.Context, p put, d dialect, md5 string) error {
	opts := minio.PutObjectOptions{DisableContentSha256: true} // no chunked signature
	sum := base64.StdEncoding.EncodeToString(p.src.sha256[:])
	if d.checksum {
		opts.UserMetadata = map[string]string{"X-Amz-Checksum-Sha256": sum}
	}
	if d.condition {
		opts.SetMatchETagExcept("*")
	}
	info, err := s.core.PutObject(ctx, s.loc.Bucket, p.object, p.src.reader(), p.src.size,
		md5, hex.EncodeToString(p.src.sha256[:]), opts)
	switch {
	case err != nil:
		return err
	case info.ETag == "":
		return errNotS3
	case d.checksum && info.ChecksumSHA256 != "" && info.ChecksumSHA256 != sum:
		return fmt.Errorf("the server computed SHA-256 %.80q instead of %q", info.ChecksumSHA256, sum)
	}
	return nil
}

// checkOwn returns nil if the object that is there is the one to be stored, else fs.ErrExist.
func (s *s3Store) checkOwn(ctx context.Context, p put) error {
	o, err := s.head(ctx, p.object)
	if isAbsent(err) {
		return errors.New("the object was there and is gone again") // so try once more
	}
	if err != nil {
		return err
	}
	if o.Size != p.src.size {
		return fs.ErrExist
	}
	if sum := o.ChecksumSHA256; sum != "" && !strings.Contains(sum, "-") { // "-": of parts
		if sum != base64.StdEncoding.EncodeToString(p.src.sha256[:]) {
			return fs.ErrExist
		}
		return nil
	}
	r, err := s.Open(ctx, p.key, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return err
	}
	if [32]byte(h.Sum(nil)) != p.src.sha256 {
		return fs.ErrExist
	}
	return nil
}
