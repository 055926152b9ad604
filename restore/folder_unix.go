//go:build unix

package restore

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"lifeboat/manifest"
)

// A folder is a directory that many files are made in. Its files are made by system calls that take one name in an open directory, with O_EXCL,
// so that nothing is looked up twice, and no link is followed: for each file open, write, the metadata and close, where os.Root needs three times as many.
type folder struct {
	root *os.Root
	file *os.File
	fd   int
	ours bool // what is made in it belongs to uid and gid

	uid, gid int // of the process
}

func openFolder(root *os.Root) (*folder, error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	d := &folder{root: root, file: f, fd: int(f.Fd()), uid: os.Geteuid(), gid: os.Getegid()}
	var st unix.Stat_t
	if unix.Fstat(d.fd, &st) == nil {
		// What is made in a directory gets the user of the process, and its group or that of the directory, as the system and its mount options
		// have it. Here these are the same. Where the file system has a say of its own, the directory, which was made like the file, shows it.
		d.ours = int(st.Uid) == d.uid && int(st.Gid) == d.gid
	}
	return d, nil
}

func (d *folder) close() { d.file.Close() }

// lay makes a new file with this content, and has finish set its metadata.
func (d *folder) lay(name string, data []byte, finish func(spot) error) (err error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(d.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	})
	if err != nil {
		return &fs.PathError{Op: "openat", Path: name, Err: err}
	}
	defer func() {
		if closeErr := unix.Close(fd); err == nil && closeErr != nil {
			err = &fs.PathError{Op: "close", Path: name, Err: closeErr}
		}
	}()
	for len(data) > 0 {
		n, err := retry(func() (int, error) { return unix.Write(fd, data[:min(len(data), 1<<30)]) })
		if err != nil {
			return &fs.PathError{Op: "write", Path: name, Err: err}
		}
		data = data[n:]
	}
	return finish(&openFile{d, fd, name})
}

// retry repeats a system call that a signal has interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != unix.EINTR {
			return n, err
		}
	}
}

// An openFile is a new file in a folder.
type openFile struct {
	in   *folder
	fd   int
	name string
}

func (f *openFile) chown(uid, gid int) error {
	if f.in.ours && (uid == -1 || uid == f.in.uid) && (gid == -1 || gid == f.in.gid) {
		return nil // it is so already
	}
	return f.wrap("fchown", unix.Fchown(f.fd, uid, gid))
}

func (f *openFile) chmod(mode fs.FileMode) error {
	bits := uint32(mode.Perm())
	for _, b := range []struct {
		mode fs.FileMode
		bit  uint32
	}{{fs.ModeSetuid, unix.S_ISUID}, {fs.ModeSetgid, unix.S_ISGID}, {fs.ModeSticky, unix.S_ISVTX}} {
		if mode&b.mode != 0 {
			bits |= b.bit
		}
	}
	return f.wrap("fchmod", unix.Fchmod(f.fd, bits))
}

func (f *openFile) chtimes(t manifest.Timestamp) error {
	at := unix.NsecToTimespec(int64(t))
	return f.wrap("utimensat", unix.UtimesNanoAt(f.in.fd, f.name, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW))
}

func (f *openFile) open() (*os.File, error) { return f.in.root.Open(f.name) }

func (f *openFile) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}
