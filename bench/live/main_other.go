//go:build !unix

// Command live measures with what only Unix systems have.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "live: it runs on Linux and macOS only")
	os.Exit(1)
}
