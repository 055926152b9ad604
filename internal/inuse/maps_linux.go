package inuse

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mappings adds the files that a process has in its memory; see proc_pid_maps(5).
func (l *listing) mappings(pid int, dir string) error {
	f, err := os.Open(dir + "/maps")
	if err != nil {
		return err
	}
	defer f.Close()
	done := map[id]bool{}
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadString('\n')
		if m, ok := parseMapping(line); ok && !done[m.file] {
			done[m.file] = true
			l.mapping(pid, m)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// mapping adds one file. On some file systems, Btrfs and overlay among them, the device that maps names is another than that
// which stat gives; the link tells, but takes more rights than maps does (CAP_CHECKPOINT_RESTORE). Failing that, the name
// may lead to the file.
func (l *listing) mapping(pid int, m mapped) {
	if l.link(pid, fmt.Sprintf("/proc/%d/map_files/%x-%x", pid, m.start, m.end), Mapped) == nil {
		return
	}
	if strings.HasSuffix(m.path, " (deleted)") {
		l.nameless(pid, m.path, m.file.dev)
		return
	}
	l.add(m.file, use{pid, Mapped})
	var st unix.Stat_t
	if strings.HasPrefix(m.path, "/") && unix.Stat(m.path, &st) == nil && st.Ino == m.file.ino {
		l.add(id{st.Dev, st.Ino}, use{pid, Mapped})
	}
}

// A mapped file is a line of maps.
type mapped struct {
	start, end uint64
	file       id
	path       string
}

// parseMapping reads a line, such as
//
//	7f3c2a000000-7f3c2a008000 rw-s 00000000 fe:00 1234       /srv/app.db-shm
//
// It returns false for memory that is no file's.
func parseMapping(line string) (m mapped, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 5 || fields[4] == "0" {
		return mapped{}, false
	}
	start, end, ok1 := strings.Cut(fields[0], "-")
	major, minor, ok2 := strings.Cut(fields[3], ":")
	if !ok1 || !ok2 {
		return mapped{}, false
	}
	var n [4]uint64
	for i, text := range []string{start, end, major, minor} {
		var err error
		if n[i], err = strconv.ParseUint(text, 16, 64); err != nil {
			return mapped{}, false
		}
	}
	ino, err := strconv.ParseUint(fields[4], 10, 64)
	if err != nil {
		return mapped{}, false
	}
	m = mapped{start: n[0], end: n[1], file: id{unix.Mkdev(uint32(n[2]), uint32(n[3])), ino}}
	if at := strings.IndexByte(line, '/'); at >= 0 {
		m.path = strings.TrimSuffix(line[at:], "\n")
	}
	return m, true
}
