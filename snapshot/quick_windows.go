package snapshot

import "os"

// Nothing is quick where the standard library shows no time of change: see changeTime.
func glanceAt(*os.File, string) (glance, bool)       { return glance{}, false }
func existsAt(*os.File, string) bool                 { return true }
func readAt(*os.File, string, []byte) (glance, bool) { return glance{}, false }
