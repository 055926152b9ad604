//go:build unix && !linux

package measure

import (
	"errors"
	"time"
)

// CPUOf is for Linux alone.
func CPUOf(int) (time.Duration, error) { return 0, errors.ErrUnsupported }
