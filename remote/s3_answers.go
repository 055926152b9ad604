package remote

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"
)

// What a server means by an answer that is none of success.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html

// isAbsent reports that the server said that there is no such object. minio-go makes NoSuchKey of
// any 404 that it cannot read, such as a web server's page.
func isAbsent(err error) bool {
	r, ok := errors.AsType[minio.ErrorResponse](err)
	return ok && r.StatusCode == http.StatusNotFound && r.Code == minio.NoSuchKey && r.XMLName.Local == "Error"
}

// isBadRange reports that no byte of a range lies in the object.
func isBadRange(err error) bool {
	r, ok := errors.AsType[minio.ErrorResponse](err)
	return ok && r.StatusCode == http.StatusRequestedRangeNotSatisfiable
}

// isPrecondition reports the answer of a server on which the key of a conditional PUT is taken. Old
// MinIO servers say 304.
func isPrecondition(err error) bool {
	r, ok := errors.AsType[minio.ErrorResponse](err)
	return ok && (r.StatusCode == http.StatusPreconditionFailed || r.StatusCode == http.StatusNotModified)
}

// isBadDigest reports that the bytes that arrived are not those that were announced.
func isBadDigest(err error) bool {
	r, _ := errors.AsType[minio.ErrorResponse](err)
	switch r.Code {
	case minio.BadDigest, minio.XAmzContentSHA256Mismatch, "XAmzContentChecksumMismatch", "InvalidChecksum":
		return true
	}
	return false
}

// isDefinite reports an answer after which the object was certainly not stored. A proxy's complaint
// about the server behind it is none.
func isDefinite(err error) bool {
	r, _ := errors.AsType[minio.ErrorResponse](err)
	switch r.StatusCode {
	case http.StatusRequestTimeout, 499:
		return false
	case http.StatusNotImplemented:
		return true
	}
	return r.StatusCode >= 400 && r.StatusCode < 500
}

// refusedHeaders reports which of the optional headers of a PUT the server's answer names as one that it does not take. One that
// speaks of a header without saying which, as Amazon's own message does, may mean either. Any other refusal is not about headers, and
// repeating the request without them would not mend it.
func refusedHeaders(err error) (condition, checksum bool) {
	r, ok := errors.AsType[minio.ErrorResponse](err)
	if !ok || isBadDigest(err) || r.StatusCode != http.StatusNotImplemented && r.StatusCode != http.StatusBadRequest {
		return false, false
	}
	text := strings.ToLower(r.Code + " " + r.Message)
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	condition = says("if-none-match", "conditional", "precondition")
	checksum = says("checksum")
	if !condition && !checksum && says("header") && says("not implemented", "notimplemented", "unsupported", "not supported") {
		return true, true
	}
	return condition, checksum
}

// passingStatus reports whether the server itself calls its answer a passing one.
func passingStatus(err error) bool {
	r, _ := errors.AsType[minio.ErrorResponse](err)
	if r.StatusCode == 0 {
		return false // minio-go's own, about an answer that makes no sense
	}
	switch r.Code {
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "InternalError", "ServiceUnavailable", "RequestTimeout",
		"Throttling", "ThrottlingException", "RequestLimitExceeded", "RequestThrottled",
		"OperationAborted", "ConditionalRequestConflict", "IncompleteBody":
		return true
	}
	switch r.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, 499, // a proxy's: the client went away
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		520, 521, 522, 523, 524: // Cloudflare's, of the server behind it
		return true
	}
	return isBadDigest(err) // what is not damaged on this side was on the way
}
