//go:build !(linux && amd64)

package strike

import "errors"

// Supported reports whether Run can do anything here.
const Supported = false

// Run is not for this system.
func Run(Program) (*Result, error) { return nil, errors.New("strike: not for this system") }
