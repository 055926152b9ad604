package mounts

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

func points() (Table, error) {
	// Unlike /proc/self/mounts, this names each mount point once for each mount, and what is bound.
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return Table{}, fmt.Errorf("list mount points: %w", err)
	}
	return parse(string(data))
}

// parse reads the kernel's list; see proc_pid_mountinfo(5). The fifth field of a line is the mount point.
func parse(list string) (t Table, err error) {
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		if len(fields) < 5 || !strings.HasPrefix(fields[4], "/") {
			return Table{}, fmt.Errorf("list mount points: /proc/self/mountinfo has a line %q", strings.TrimSuffix(line, "\n"))
		}
		t.points = append(t.points, unescape(fields[4]))
	}
	slices.Sort(t.points)
	t.points = slices.Compact(t.points) // one may lie over another
	return t, nil
}

// unescape replaces \ooo, as the kernel writes space, tab, newline, backslash and #, by the byte.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c, ok := octal(s[i:]); ok {
			b.WriteByte(c)
			i += 3
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// octal decodes the \ooo that s may begin with.
func octal(s string) (c byte, ok bool) {
	if len(s) < 4 || s[0] != '\\' || s[1] > '3' {
		return 0, false
	}
	for _, d := range []byte(s[1:4]) {
		if d < '0' || d > '7' {
			return 0, false
		}
		c = c<<3 | (d - '0')
	}
	return c, true
}

func (t Table) is(path string) bool {
	_, found := slices.BinarySearch(t.points, path)
	return found
}

func (t Table) below(path string) (all []string) {
	inside := strings.TrimSuffix(path, "/") + "/"
	for _, p := range t.points {
		if strings.HasPrefix(p, inside) && p != path {
			all = append(all, p)
		}
	}
	return all
}
