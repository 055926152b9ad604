//go:build !unix

// Command far measures with what only Unix systems have.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "far: it runs on Linux and macOS only")
	os.Exit(1)
}
