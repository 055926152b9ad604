package hook

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/gofrs/flock"
)

// Lock takes the lock of a file exclusively, as flock(1) does, and waits for it up to timeout; 0 means DefaultTimeout. The file must be
// there: it is the application's. The caller calls unlock, which is nil if there is an error.
func Lock(ctx context.Context, path string, timeout time.Duration) (unlock func() error, err error) {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	const every = 50 * time.Millisecond
	l := flock.New(path, flock.SetFlag(os.O_RDONLY))
	switch _, err := l.TryLockContext(limited, every); {
	case err == nil:
		return l.Unlock, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("lock_file %s: somebody still held it after %s", path, timeout)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("lock_file %s: it is not there; the application makes it", path)
	default:
		return nil, fmt.Errorf("lock_file %s: %w", path, err)
	}
}
