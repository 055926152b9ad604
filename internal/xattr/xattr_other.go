//go:build !linux && !darwin

package xattr

import (
	"errors"
	"os"
)

func Read(*os.File, Limits) ([]Attr, error)   { return nil, nil }
func ReadPath(string, Limits) ([]Attr, error) { return nil, nil }
func Set(*os.File, Attr) error                { return errors.ErrUnsupported }
func SetPath(string, Attr) error              { return errors.ErrUnsupported }
func Has(*os.File, Attr) bool                 { return false }
func RemovePath(string, string) error         { return errors.ErrUnsupported }
