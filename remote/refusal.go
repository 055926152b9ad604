package remote

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/minio/minio-go/v7"
)

// IsRefusal reports that a store was reached and would not do what it was asked to: there is no permission, or an object is locked
// against removal. Repeating the request helps only after something was changed there.
func IsRefusal(err error) bool {
	if !errors.Is(err, ErrUnavailable) {
		return false
	}
	if r, ok := errors.AsType[minio.ErrorResponse](err); ok {
		return r.StatusCode >= 400 && r.StatusCode < 500 && !passingStatus(r)
	}
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}
