package rig

import "golang.org/x/sys/unix"

// touched is how much memory is used before each command: more than any writes.
const touched = 3 << 30

// LevelMemory uses memory and frees it. A virtual machine may get its memory only when it is used first, which can take ten times as long as
// the use itself, and give it back some seconds after it was freed; so without this, who comes first pays for those who follow.
func LevelMemory() {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil || uint64(info.Freeram)*uint64(info.Unit) < 2*touched {
		return
	}
	b, err := unix.Mmap(-1, 0, touched, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // it only takes longer without
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	_ = unix.Munmap(b)
}
