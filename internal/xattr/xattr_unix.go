//go:build linux || darwin

package xattr

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// access is how the attributes of one file are reached.
type access struct {
	list func(buf []byte) (int, error)
	get  func(name string, buf []byte) (int, error)
}

// Read returns the attributes of an open file or directory. Those that pass the limits, or whose values may not be read, are left
// out, and named in an error beside those that are there.
func Read(f *os.File, limits Limits) ([]Attr, error) {
	fd := int(f.Fd())
	return access{
		list: func(buf []byte) (int, error) { return unix.Flistxattr(fd, buf) },
		get:  func(name string, buf []byte) (int, error) { return unix.Fgetxattr(fd, name, buf) },
	}.read(limits)
}

// ReadPath is Read for a file that must not be opened. A symbolic link at the end of the path is not followed.
func ReadPath(path string, limits Limits) ([]Attr, error) {
	return access{
		list: func(buf []byte) (int, error) { return unix.Llistxattr(path, buf) },
		get:  func(name string, buf []byte) (int, error) { return unix.Lgetxattr(path, name, buf) },
	}.read(limits)
}

// None reports whether an open file has no attributes that it tells of.
func None(fd int) bool {
	n, err := unix.Flistxattr(fd, nil)
	return n == 0 && err == nil || unsupported(err)
}

// Set sets an attribute of an open file or directory.
func Set(f *os.File, a Attr) error { return unix.Fsetxattr(int(f.Fd()), a.Name, a.Value, 0) }

// SetPath is Set for a symbolic link, or what else may lie at the end of a path.
func SetPath(path string, a Attr) error { return unix.Lsetxattr(path, a.Name, a.Value, 0) }

// Has reports whether an open file has an attribute with this value.
func Has(f *os.File, a Attr) bool {
	buf := make([]byte, len(a.Value)+1)
	n, err := unix.Fgetxattr(int(f.Fd()), a.Name, buf)
	return err == nil && bytes.Equal(buf[:n], a.Value)
}

// RemovePath removes an attribute, if it is there.
func RemovePath(path, name string) error { return unix.Lremovexattr(path, name) }

func (a access) read(limits Limits) ([]Attr, error) {
	names, err := grow(limits.Bytes, a.list)
	if unsupported(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list extended attributes: %w", err)
	}
	var attrs []Attr
	var errs []error
	left := limits.Bytes
	for name := range bytes.SplitSeq(bytes.TrimSuffix(names, []byte{0}), []byte{0}) {
		if len(name) == 0 {
			continue
		}
		if len(attrs) == limits.Count {
			errs = append(errs, fmt.Errorf("there are more than %d extended attributes", limits.Count))
			break
		}
		value, err := grow(left-len(name), func(buf []byte) (int, error) { return a.get(string(name), buf) })
		switch {
		case gone(err) || unsupported(err): // listed and not there
		case err != nil:
			errs = append(errs, fmt.Errorf("extended attribute %q: %w", name, err))
		default:
			left -= len(name) + len(value)
			attrs = append(attrs, Attr{string(name), value})
		}
	}
	return attrs, errors.Join(errs...)
}

var errTooLarge = errors.New("too large")

// grow calls read with a buffer that is large enough, but not larger than limit.
func grow(limit int, read func(buf []byte) (int, error)) ([]byte, error) {
	for range 5 { // it may grow meanwhile
		n, err := read(nil)
		if err != nil || n == 0 {
			return nil, err
		}
		if n > limit {
			return nil, fmt.Errorf("%w: %d bytes", errTooLarge, n)
		}
		buf := make([]byte, n)
		n, err = read(buf)
		if errors.Is(err, unix.ERANGE) {
			continue
		}
		return buf[:max(n, 0)], err
	}
	return nil, unix.ERANGE
}

func unsupported(err error) bool { return errors.Is(err, errors.ErrUnsupported) }
