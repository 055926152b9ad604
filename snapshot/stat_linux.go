package snapshot

import (
	"fmt"
	"os"
	"syscall"
)

func ctimeOf(st *syscall.Stat_t) syscall.Timespec { return st.Ctim }

// pathIn returns a path by which a name in an open directory is reached, where there is such a path.
func pathIn(dir *os.File, name string) (string, bool) {
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), name), true
}
