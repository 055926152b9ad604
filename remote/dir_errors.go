package remote

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// explain puts verb and object before the cause of a failure, and marks what the store is not to
// blame for as unavailable.
func (d *Dir) explain(err *error, verb, key string) {
	if *err == nil {
		return
	}
	e := cause(*err)
	if refused(e) {
		next := ""
		if errors.Is(e, fs.ErrPermission) {
			next = "allow this user to read and write there"
		}
		e = &unavailable{what: e.Error(), next: next, cause: e}
	}
	object := d.path
	if key != "" && checkKey(key) == nil {
		object = d.file(key)
	}
	*err = fmt.Errorf("%s %s: %w", verb, object, e)
}

// cause strips the operation and the path that package os put before the cause: the caller's are
// better.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok && error(e) == err {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok && error(e) == err {
		return e.Err
	}
	return err
}

// refused reports errors of a file system that is there but cannot be used.
func refused(err error) bool {
	if _, local := errors.AsType[*sourceError](err); local || errors.Is(err, ErrUnavailable) {
		return false
	}
	if errors.Is(err, fs.ErrPermission) {
		return true
	}
	for _, errno := range []syscall.Errno{syscall.EROFS, syscall.ESTALE, syscall.ENOTCONN, syscall.ETIMEDOUT, syscall.ENODEV} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// notDirectory reports that something on the way to a file is no directory, so the file is absent.
func notDirectory(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
