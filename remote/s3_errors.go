package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/minio/minio-go/v7"
)

// explain puts verb and object before the cause of a failure, and says what can be done about it.
func (s *s3Store) explain(ctx context.Context, err *error, verb, key string) {
	if *err == nil {
		return
	}
	if checkKey(key) != nil {
		key = ""
	}
	*err = fmt.Errorf("%s %s: %w", verb, s.name(key), s.diagnose(ctx, *err, verb))
}

// diagnose classifies a failure: absence, one that the caller is to see as it is, or unavailability.
func (s *s3Store) diagnose(ctx context.Context, err error, verb string) error {
	if e := ctx.Err(); e != nil && !errors.Is(err, fs.ErrExist) {
		return e
	}
	if isAbsent(err) {
		return fs.ErrNotExist
	}
	if errors.Is(err, errNotS3) {
		return s.notS3(err)
	}
	if e, ok := errors.AsType[*credentialsError](err); ok {
		return &unavailable{what: e.Error(), cause: err}
	}
	if r, ok := errors.AsType[minio.ErrorResponse](err); ok {
		what, next := s.answer(r, verb)
		return &unavailable{what: what + attempts(err), next: next, cause: err}
	}
	if stays(err) && !isTLS(err) {
		return err
	}
	what, next := s.network(err)
	return &unavailable{what: what + attempts(err), next: next, cause: err}
}

func (s *s3Store) notS3(err error) error {
	tried := attempts(err)
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the URL: it is that of a request
	}
	return &unavailable{
		what:  err.Error() + tried,
		next:  fmt.Sprintf("check the endpoint %s, and whether a proxy or a login page answers in its place", s.endpoint()),
		cause: err,
	}
}

// answer explains a refusal by the server.
func (s *s3Store) answer(r minio.ErrorResponse, verb string) (what, next string) {
	bucket := s.loc.Bucket
	if what, next = s.wrongRegion(r); what != "" {
		return what, next
	}
	switch r.Code {
	case minio.NoSuchBucket:
		if r.XMLName.Local == "Error" {
			return fmt.Sprintf("there is no bucket %q at %s", bucket, s.endpoint()), "make it, or correct the URL or the endpoint"
		}
	case minio.InvalidAccessKeyID, "InvalidAccessKey":
		return fmt.Sprintf("%s does not know the access key", s.endpoint()), "check AWS_ACCESS_KEY_ID or the profile, and that they belong to this endpoint"
	case minio.SignatureDoesNotMatch:
		return "the secret access key is wrong", "check AWS_SECRET_ACCESS_KEY or the profile: it does not belong to the access key"
	case "ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidTokenId", "TokenRefreshRequired":
		return "the temporary credentials have expired or are not valid", "renew them (such as aws sso login), or unset AWS_SESSION_TOKEN if they are not temporary"
	case minio.RequestTimeTooSkewed:
		return "the clocks differ: " + s.skew(), "set this machine's clock (NTP)"
	}
	what = fmt.Sprintf("%s: %s", r.Code, clean(r.Error()))
	switch {
	case r.StatusCode == http.StatusForbidden || r.StatusCode == http.StatusUnauthorized:
		return "not allowed: " + what, s.permissions(verb)
	case strings.Contains(r.Message, "HTTP request to an HTTPS server"):
		return "the server at " + s.endpoint() + " wants https", "write https:// in the endpoint"
	case passingStatus(r):
		return "the server is not well: " + what, "try again later"
	case r.StatusCode == 0:
		return s.notS3(fmt.Errorf("%w: %s", errNotS3, clean(r.Message))).Error(), ""
	case r.XMLName.Local != "Error":
		err := s.notS3(fmt.Errorf("%w (%d %s)", errNotS3, r.StatusCode, http.StatusText(r.StatusCode)))
		return err.Error(), ""
	}
	return "the server refused: " + what, ""
}

// wrongRegion explains an answer that sends one to another region. minio-go follows no redirection,
// so the signed request never reaches another host.
func (s *s3Store) wrongRegion(r minio.ErrorResponse) (what, next string) {
	switch r.Code {
	case "PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "InvalidRegion", "IllegalLocationConstraintException":
	default:
		if r.StatusCode < 300 || r.StatusCode > 399 {
			return "", ""
		}
	}
	if r.Region != "" && r.Region != s.region {
		return fmt.Sprintf("the bucket is in region %.40q, not in %q", r.Region, s.region),
			fmt.Sprintf("add region=%.40s to the URL, or set AWS_REGION", clean(r.Region))
	}
	return fmt.Sprintf("the bucket is not in region %q or not at %s: %s", s.region, s.endpoint(), clean(r.Error())),
		"check the region and the endpoint"
}

// permissions names what is needed for an operation.
func (s *s3Store) permissions(verb string) string {
	actions := map[string]string{"put": "s3:PutObject", "open": "s3:GetObject", "read": "s3:GetObject", "stat": "s3:GetObject", "delete": "s3:DeleteObject"}
	list := fmt.Sprintf("s3:ListBucket on %s", s.loc.Bucket)
	action, ok := actions[verb]
	if !ok {
		return "allow these credentials " + list
	}
	next := fmt.Sprintf("allow these credentials %s on %s/%s*", action, s.loc.Bucket, s.prefix)
	if action == "s3:GetObject" {
		next += " and " + list + " (without it, a missing object looks like this too)"
	}
	return next
}

func (s *s3Store) skew() string {
	now, ok := s.wire.now()
	if !ok {
		return "the server's is not known"
	}
	return fmt.Sprintf("the server says it is %s, this machine %s", now.UTC().Format(time.RFC3339), time.Now().UTC().Format(time.RFC3339))
}

// network explains why the server could not be reached.
func (s *s3Store) network(err error) (what, next string) {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the URL: it is that of the object
	}
	text := clean(err.Error())
	if strings.HasPrefix(text, "Connection closed by foreign host") { // minio-go's words, with the URL of the request
		text = "connection closed before an answer"
	}
	dns, isDNS := errors.AsType[*net.DNSError](err)
	op, isOp := errors.AsType[*net.OpError](err)
	stalled, isStalled := errors.AsType[*stalledError](err)
	switch {
	case isStalled:
		return stalled.Error(), "try again later; if the line is that slow, set stall: in lifeboat.yaml"
	case isDNS && dns.IsNotFound:
		return fmt.Sprintf("there is no host %.100q", dns.Name), "check the endpoint's name"
	case isDNS:
		return fmt.Sprintf("the name %.100q cannot be looked up: %s", dns.Name, clean(dns.Err)), "check this machine's network and DNS"
	case isPlainHTTP(err):
		return "the server at " + s.endpoint() + " speaks plain http", "write http:// in the endpoint, or the port of https"
	case isTLS(err):
		return text, "for a certificate of your own, name the file of its authority in AWS_CA_BUNDLE"
	case isOp && op.Op == "proxyconnect":
		return "the proxy cannot be reached: " + text, "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
	case isOp && op.Op == "dial":
		return fmt.Sprintf("cannot connect to %s: %s", s.endpoint(), text), "is the server running, and are host and port of the endpoint right?"
	case !s.wire.answered() && s.core.EndpointURL().Scheme == "http":
		return "the server does not answer: " + text, "if it wants https, write https:// in the endpoint"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection broke off: " + text, "try again later"
	}
	return "the network failed: " + text, "try again later"
}

// attempts says how often, or for how long, a request was tried in vain.
func attempts(err error) string {
	e, ok := errors.AsType[*exhausted](err)
	switch {
	case ok && e.lasts >= tellAfter:
		return fmt.Sprintf(" (for %s)", e.lasts.Round(time.Second))
	case ok && e.attempts > 1:
		return fmt.Sprintf(" (%d attempts)", e.attempts)
	}
	return ""
}

// outageCause says in one line why the server is taken to be down.
func (s *s3Store) outageCause(err error) string {
	if r, ok := errors.AsType[minio.ErrorResponse](err); ok {
		what, _ := s.answer(r, "")
		return what
	}
	what, _ := s.network(err)
	return what
}

func (s *s3Store) endpoint() string { return s.core.EndpointURL().String() }

// clean makes text that came from elsewhere fit for a message: one line, and not too long.
func clean(text string) string {
	const most = 300
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	text = strings.TrimSpace(text)
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
