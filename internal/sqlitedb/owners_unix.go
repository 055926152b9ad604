//go:build unix

package sqlitedb

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// keepOwners takes away SQLite's habit of giving every -wal, -shm and -journal that it opens as root to the owner of the database, even when it
// only reads (robustFchown in os_unix.c). It would change the time of change of files that are not ours, and their owner where somebody
// else made them, who might then not get at them any more. Only a file that root has just made is still given away: it
// is root's, and empty.
//
// System calls are replaced as https://www.sqlite.org/c3ref/vfs.html says, before the first connection.
func keepOwners() error {
	tls := libc.NewTLS()
	defer tls.Close()
	name, err := libc.CString("fchown")
	if err != nil {
		return err
	}
	defer libc.Xfree(tls, name)
	vfs := sqlite3.Xsqlite3_vfs_find(tls, 0)
	if vfs == 0 {
		return errors.New("SQLite has no file system")
	}
	// This is how C calls, and is called, in this library.
	replace := (*(**sqlite3.Tsqlite3_vfs)(unsafe.Pointer(&vfs))).FxSetSystemCall
	call := *(*func(tls *libc.TLS, vfs, name, function uintptr) int32)(unsafe.Pointer(&struct{ uintptr }{replace}))
	if rc := call(tls, vfs, name, *(*uintptr)(unsafe.Pointer(&struct {
		f func(*libc.TLS, int32, uint32, uint32) int32
	}{fchown}))); rc != sqlite3.SQLITE_OK {
		return errors.New("SQLite has no system call fchown")
	}
	return nil
}

// fchown is called only for root. Nobody looks at its result.
func fchown(_ *libc.TLS, fd int32, uid, gid uint32) int32 {
	var st unix.Stat_t
	if err := unix.Fstat(int(fd), &st); err != nil || st.Uid != 0 || st.Size > 0 || st.Uid == uid && st.Gid == gid {
		return 0
	}
	if err := unix.Fchown(int(fd), int(uid), int(gid)); err != nil {
		return -1
	}
	return 0
}
