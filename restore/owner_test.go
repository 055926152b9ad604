//go:build unix

package restore_test

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"lifeboat/internal/snaptest"
	"lifeboat/restore"
)

// ownedBy forges a snapshot with files of these owners: each is "uid gid user group".
func ownedBy(t *testing.T, owners ...string) func(how restore.Owner) (*restore.Result, []string, error) {
	lines := []string{root}
	for i, o := range owners {
		f := strings.Fields(o)
		more := `"uid":` + f[0] + `,"gid":` + f[1] + `,`
		if f[2] != "-" {
			more += `"user":"` + f[2] + `",`
		}
		if f[3] != "-" {
			more += `"group":"` + f[3] + `",`
		}
		lines = append(lines, strings.Replace(file("d/"+string(rune('a'+i))), `"chunk"`, more+`"chunk"`, 1))
	}
	local := snaptest.Local(t)
	id := snaptest.Forgery{Content: evilText, Lines: lines, Bytes: int64(4 * len(owners))}.Forge(t, local)
	return func(how restore.Owner) (*restore.Result, []string, error) {
		target := filepath.Join(t.TempDir(), "t")
		res, err := restore.Run(t.Context(), snaptest.Open(t, id, local.Store), restore.Options{Target: target, Owner: how})
		if err != nil {
			return nil, nil, err
		}
		var got []string
		for i := range owners {
			fi, err := os.Stat(filepath.Join(target, "d", string(rune('a'+i))))
			must(t, err)
			st := fi.Sys().(*syscall.Stat_t)
			got = append(got, strconv.Itoa(int(st.Uid))+" "+strconv.Itoa(int(st.Gid)))
		}
		return res, got, nil
	}
}

// Root gives files to whom it is told to.
func TestOwnersAsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT CHECKED: owners that are given away, for which the test must run as root")
	}
	somebody, err := user.LookupId("65534")
	must(t, err)
	group, err := user.LookupGroupId("65534")
	must(t, err)
	known := "7001 7002 " + somebody.Username + " " + group.Name
	run := ownedBy(t, known, "7003 7004 no-such-user no-such-group", "7005 7006 - -")
	for how, want := range map[restore.Owner]struct {
		owners string
		kept   bool
		lost   int64
	}{
		"":                   {"65534 65534,7003 7004,7005 7006", false, 2},
		restore.OwnerAuto:    {"65534 65534,7003 7004,7005 7006", false, 2},
		restore.OwnerNames:   {"65534 65534,0 0,0 0", false, 4},
		restore.OwnerNumbers: {"7001 7002,7003 7004,7005 7006", true, 0},
		restore.OwnerCurrent: {"0 0,0 0,0 0", true, 0},
	} {
		res, got, err := run(how)
		must(t, err)
		if strings.Join(got, ",") != want.owners || res.OwnersKept != want.kept || res.NotKeptCount != want.lost {
			t.Errorf("%q: %q, kept %v, %d lost:\n%s", how, got, res.OwnersKept, res.NotKeptCount, lost(res))
		}
	}
	if _, _, err := run("bogus"); err == nil {
		t.Error("an owner that is none is taken")
	}
}

// Anybody else keeps what is theirs, and is told what is not as it was.
func TestOwnersAsNobody(t *testing.T) {
	if snaptest.AsNobody(t) {
		return
	}
	uid, gid := strconv.Itoa(os.Geteuid()), strconv.Itoa(os.Getegid())
	me := "- -"
	if u, err := user.Current(); err == nil {
		if g, err := user.LookupGroupId(gid); err == nil {
			me = u.Username + " " + g.Name
		}
	}
	own, other := ownedBy(t, uid+" "+gid+" "+me), ownedBy(t, "7001 7002 alice staff-of-alice")
	for _, how := range restore.Owners {
		res, got, err := own(how)
		must(t, err)
		if got[0] != uid+" "+gid || res.NotKeptCount > 0 && me != "- -" {
			t.Errorf("own, %s: %q, not kept:\n%s", how, got, lost(res))
		}
		res, got, err = other(how)
		must(t, err)
		if kept := how == restore.OwnerCurrent; got[0] != uid+" "+gid || res.OwnersKept != kept {
			t.Errorf("another's, %s: %q, kept %v:\n%s", how, got, res.OwnersKept, lost(res))
		}
	}
}
