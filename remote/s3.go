package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
)

// s3Store keeps objects in a bucket, below a prefix.
//
// It makes five kinds of requests, PUT, GET, HEAD and DELETE of objects below the prefix and
// ListObjectsV2 of the prefix, so credentials that may do no more are enough. In particular it asks
// neither for the bucket nor for the bucket's region.
type s3Store struct {
	loc    Location
	prefix string // of keys in the bucket: "" or ends in a slash
	region string
	core   minio.Core
	wire   *wire
	outage *outage
	known  func() bool // whether the store was used before

	refused *refusals
	listed  atomic.Bool // a listing has succeeded: there is the bucket, and a server of S3
}

func newS3(loc Location, cfg Config) (*s3Store, error) {
	set, err := resolve(loc, cfg)
	if err != nil {
		return nil, err
	}
	creds, err := resolveCredentials(cfg, set)
	if err != nil {
		return nil, err
	}
	w := newWire(set.roots, cfg)
	client, err := minio.NewCore(set.endpoint.Host, &minio.Options{
		Creds:        creds,
		Secure:       set.endpoint.Scheme == "https",
		Transport:    w,
		Region:       set.region, // else minio-go asks for the bucket's
		BucketLookup: set.lookup,
		MaxRetries:   1, // none: see retry
	})
	if err != nil {
		return nil, err
	}
	client.SetAppInfo("lifeboat", cmp.Or(cfg.Version, "dev"))
	s := &s3Store{loc: loc, region: set.region, core: *client, wire: w, outage: newOutage(cfg.RetryFor, cfg.Outage)}
	if loc.Prefix != "" {
		s.prefix = loc.Prefix + "/"
	}
	s.loc.Endpoint = set.endpoint.String()
	if s.loc.Endpoint == amazon {
		s.loc.Endpoint = ""
	}
	s.known = sync.OnceValue(func() bool { return cfg.Known != nil && cfg.Known(s.String()) })
	s.refused = newRefusals(cfg, s.String())
	return s, nil
}

// String returns the URL, with the endpoint that is used.
func (s *s3Store) String() string { return s.loc.String() }

// object returns the name of a key in the bucket.
func (s *s3Store) object(key string) (string, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	return s.prefix + key, nil
}

func (s *s3Store) Stat(ctx context.Context, key string) (info Info, err error) {
	defer s.explain(ctx, &err, "stat", key)
	object, err := s.object(key)
	if err != nil {
		return Info{}, err
	}
	err = s.try(ctx, func() error {
		o, err := s.head(ctx, object)
		info = Info{Key: key, Size: o.Size, ModTime: o.LastModified}
		return err
	})
	return info, err
}

// head describes an object. The answer to a failed HEAD has no body, so it cannot tell a missing
// object from a missing bucket or from a server that is none of S3; a GET of the first byte can. It is not needed where a listing has
// told both, and the answer is by what a server of S3 calls a request, so not by something between here and there.
func (s *s3Store) head(ctx context.Context, object string) (minio.ObjectInfo, error) {
	o, err := s.core.StatObject(ctx, s.loc.Bucket, object, minio.StatObjectOptions{Checksum: true})
	if r, answered := errors.AsType[minio.ErrorResponse](err); answered && !passingStatus(err) {
		if r.StatusCode == http.StatusNotFound && r.RequestID != "" && s.listed.Load() {
			r.Code, r.XMLName.Local = minio.NoSuchKey, "Error" // as isAbsent has it
			return minio.ObjectInfo{}, r
		}
		return s.headByGet(ctx, object, err)
	}
	if err == nil && (o.ETag == "" || o.Size < 0) {
		err = errNotS3
	}
	return o, err
}

func (s *s3Store) headByGet(ctx context.Context, object string, headErr error) (minio.ObjectInfo, error) {
	var opts minio.GetObjectOptions
	if err := opts.SetRange(0, 0); err != nil {
		return minio.ObjectInfo{}, err
	}
	body, o, header, err := s.core.GetObject(ctx, s.loc.Bucket, object, opts)
	if isBadRange(err) {
		return minio.ObjectInfo{}, headErr
	}
	if err != nil {
		return minio.ObjectInfo{}, err
	}
	body.Close()
	r, err := parseContentRange(header.Get("Content-Range"))
	if err != nil || r.total < 0 {
		return minio.ObjectInfo{}, headErr
	}
	o.Size = r.total
	return o, nil
}

func (s *s3Store) Delete(ctx context.Context, key string) (err error) {
	defer s.explain(ctx, &err, "delete", key)
	object, err := s.object(key)
	if err != nil {
		return err
	}
	err = s.try(ctx, func() error {
		return s.core.RemoveObject(ctx, s.loc.Bucket, object, minio.RemoveObjectOptions{})
	})
	if isAbsent(err) {
		return nil
	}
	return err
}

// Now returns the time in the Date header of the last answer and what has passed since. A Date is cut
// to a second and has travelled, so this is never ahead.
func (s *s3Store) Now(ctx context.Context) (_ time.Time, err error) {
	defer s.explain(ctx, &err, "ask the time of", "")
	if err := ctx.Err(); err != nil {
		return time.Time{}, err
	}
	if now, ok := s.wire.now(); ok {
		return now, nil
	}
	// Any answer will do, a refusal too.
	_, err = s.Stat(ctx, "lifeboat.json")
	if now, ok := s.wire.now(); ok {
		return now, nil
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = &unavailable{what: "the server's answers have no Date"}
	}
	return time.Time{}, err
}

// name returns what errors call the object of a key, or the store when there is none.
func (s *s3Store) name(key string) string {
	return strings.TrimSuffix(fmt.Sprintf("s3://%s/%s%s", s.loc.Bucket, s.prefix, key), "/")
}
