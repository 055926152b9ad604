//go:build profile

package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
)

// startProfiles begins what the environment asks for: LIFEBOAT_CPU_PROFILE, LIFEBOAT_TRACE and LIFEBOAT_MEM_PROFILE each name a file to
// write, for go tool pprof and go tool trace. The memory profile says what was allocated, all in all. The function that it returns ends them.
func startProfiles() (stop func()) {
	var stops []func()
	begin := func(variable string, start func(*os.File) error, stop func(*os.File)) {
		name := os.Getenv(variable)
		if name == "" {
			return
		}
		f, err := os.Create(name)
		if err == nil {
			err = start(f)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "lifeboat: %s: %v\n", variable, err)
			os.Exit(codeFailed)
		}
		stops = append(stops, func() { stop(f); f.Close() })
	}
	begin("LIFEBOAT_CPU_PROFILE", func(f *os.File) error { return pprof.StartCPUProfile(f) }, func(*os.File) { pprof.StopCPUProfile() })
	begin("LIFEBOAT_TRACE", func(f *os.File) error { return trace.Start(f) }, func(*os.File) { trace.Stop() })
	begin("LIFEBOAT_MEM_PROFILE", func(*os.File) error { return nil }, func(f *os.File) {
		runtime.GC() // so that it is of now
		_ = pprof.Lookup("allocs").WriteTo(f, 0)
	})
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}
