package miniotest

import (
	"os/exec"
	"syscall"
)

// endWithParent makes the kernel end cmd when this process does, however that happens. SIGTERM, because
// docker-compose stops its containers on it; see PR_SET_PDEATHSIG in prctl(2).
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
