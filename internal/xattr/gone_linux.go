package xattr

import (
	"errors"

	"golang.org/x/sys/unix"
)

func gone(err error) bool { return errors.Is(err, unix.ENODATA) }
