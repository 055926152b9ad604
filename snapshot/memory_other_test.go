//go:build unix && !linux

package snapshot_test

import "errors"

const memoryVariable = "LIFEBOAT_TEST_MEMORY"

func useMemory(string) error { return errors.New("memory is measured on Linux alone") }
