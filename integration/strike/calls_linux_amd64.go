package strike

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A form is where a system call names its files: arguments that are descriptors, and arguments that are paths, each with the number of
// the argument that is the directory they are relative to, or here for the working directory.
type form struct {
	name   string
	writes bool
	fds    []int
	paths  [][2]int // path, directory
}

const here = -1

var forms = map[uint64]form{
	unix.SYS_WRITE: {"write", true, []int{0}, nil}, unix.SYS_PWRITE64: {"pwrite64", true, []int{0}, nil},
	unix.SYS_WRITEV: {"writev", true, []int{0}, nil}, unix.SYS_PWRITEV: {"pwritev", true, []int{0}, nil},
	unix.SYS_FTRUNCATE: {"ftruncate", true, []int{0}, nil}, unix.SYS_FALLOCATE: {"fallocate", true, []int{0}, nil},
	unix.SYS_TRUNCATE: {"truncate", true, nil, [][2]int{{0, here}}},
	unix.SYS_SENDFILE: {"sendfile", true, []int{0}, nil}, unix.SYS_COPY_FILE_RANGE: {"copy_file_range", true, []int{2}, nil},
	unix.SYS_FSYNC: {"fsync", true, []int{0}, nil}, unix.SYS_FDATASYNC: {"fdatasync", true, []int{0}, nil}, unix.SYS_SYNCFS: {"syncfs", true, []int{0}, nil},
	unix.SYS_RENAME:    {"rename", true, nil, [][2]int{{0, here}, {1, here}}},
	unix.SYS_RENAMEAT:  {"renameat", true, nil, [][2]int{{1, 0}, {3, 2}}},
	unix.SYS_RENAMEAT2: {"renameat2", true, nil, [][2]int{{1, 0}, {3, 2}}},
	unix.SYS_LINK:      {"link", true, nil, [][2]int{{0, here}, {1, here}}},
	unix.SYS_LINKAT:    {"linkat", true, nil, [][2]int{{1, 0}, {3, 2}}},
	unix.SYS_SYMLINK:   {"symlink", true, nil, [][2]int{{1, here}}},
	unix.SYS_SYMLINKAT: {"symlinkat", true, nil, [][2]int{{2, 1}}},
	unix.SYS_MKDIR:     {"mkdir", true, nil, [][2]int{{0, here}}}, unix.SYS_MKDIRAT: {"mkdirat", true, nil, [][2]int{{1, 0}}},
	unix.SYS_RMDIR:  {"rmdir", true, nil, [][2]int{{0, here}}},
	unix.SYS_UNLINK: {"unlink", true, nil, [][2]int{{0, here}}}, unix.SYS_UNLINKAT: {"unlinkat", true, nil, [][2]int{{1, 0}}},
	unix.SYS_CHMOD: {"chmod", true, nil, [][2]int{{0, here}}}, unix.SYS_FCHMOD: {"fchmod", true, []int{0}, nil},
	unix.SYS_FCHMODAT: {"fchmodat", true, nil, [][2]int{{1, 0}}}, unix.SYS_FCHMODAT2: {"fchmodat2", true, nil, [][2]int{{1, 0}}},
	unix.SYS_CHOWN: {"chown", true, nil, [][2]int{{0, here}}}, unix.SYS_LCHOWN: {"lchown", true, nil, [][2]int{{0, here}}},
	unix.SYS_FCHOWN: {"fchown", true, []int{0}, nil}, unix.SYS_FCHOWNAT: {"fchownat", true, nil, [][2]int{{1, 0}}},
	unix.SYS_SETXATTR: {"setxattr", true, nil, [][2]int{{0, here}}}, unix.SYS_LSETXATTR: {"lsetxattr", true, nil, [][2]int{{0, here}}},
	unix.SYS_FSETXATTR: {"fsetxattr", true, []int{0}, nil},
	unix.SYS_UTIMENSAT: {"utimensat", true, []int{0}, [][2]int{{1, 0}}}, // without a path it is about the descriptor

	unix.SYS_OPEN: {"open", false, nil, [][2]int{{0, here}}}, unix.SYS_OPENAT: {"openat", false, nil, [][2]int{{1, 0}}},
	unix.SYS_READ: {"read", false, []int{0}, nil}, unix.SYS_PREAD64: {"pread64", false, []int{0}, nil},
	unix.SYS_GETDENTS64: {"getdents64", false, []int{0}, nil}, unix.SYS_FSTAT: {"fstat", false, []int{0}, nil},
	unix.SYS_STAT: {"stat", false, nil, [][2]int{{0, here}}}, unix.SYS_LSTAT: {"lstat", false, nil, [][2]int{{0, here}}},
	unix.SYS_NEWFSTATAT: {"newfstatat", false, []int{0}, [][2]int{{1, 0}}},
}

// callOf describes the call that a thread is about to make, if it is about files.
func callOf(tid int, regs *syscall.PtraceRegs) (Call, bool) {
	f, ok := forms[regs.Orig_rax]
	if !ok {
		return Call{}, false
	}
	args := [6]uint64{regs.Rdi, regs.Rsi, regs.Rdx, regs.R10, regs.R8, regs.R9}
	c := Call{Name: f.name, Writes: f.writes}
	switch {
	case f.name == "open" && args[1]&(unix.O_CREAT|unix.O_TRUNC) != 0, f.name == "openat" && args[2]&(unix.O_CREAT|unix.O_TRUNC) != 0:
		c.Writes = true
	}
	for _, p := range f.paths {
		path := textAt(tid, args[p[0]])
		if path == "" {
			continue
		}
		if !filepath.IsAbs(path) {
			dir := "cwd"
			if p[1] != here && int32(args[p[1]]) != unix.AT_FDCWD {
				dir = fmt.Sprintf("fd/%d", int32(args[p[1]]))
			}
			path = filepath.Join(linkOf(tid, dir), path)
		}
		c.Paths = append(c.Paths, filepath.Clean(path))
	}
	if len(c.Paths) == 0 {
		for _, fd := range f.fds {
			if path := linkOf(tid, fmt.Sprintf("fd/%d", int32(args[fd]))); filepath.IsAbs(path) {
				c.Paths = append(c.Paths, strings.TrimSuffix(path, " (deleted)"))
			}
		}
	}
	return c, len(c.Paths) > 0
}

func linkOf(tid int, what string) string {
	path, _ := os.Readlink(fmt.Sprintf("/proc/%d/%s", tid, what))
	return path
}

// textAt returns the string at an address of a thread's memory.
func textAt(tid int, at uint64) string {
	if at == 0 {
		return ""
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", tid))
	if err != nil {
		return ""
	}
	defer mem.Close()
	buf := make([]byte, unix.PathMax)
	n, _ := mem.ReadAt(buf, int64(at))
	text, _, _ := bytes.Cut(buf[:n], []byte{0})
	return string(text)
}
