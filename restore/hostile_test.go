//go:build unix

package restore_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/internal/layout"
	"lifeboat/internal/snaptest"
	"lifeboat/manifest"
	"lifeboat/restore"
)

const (
	root     = `{"path":"d","type":"directory","mode":"0755"}`
	evil     = `"type":"file","mode":"0644","size":%N,"sha256":"%S","chunk":4,"extents":[%A]}`
	evilText = "evil"
)

// file is the line of a file with the content of the forgery.
func file(path string) string { return fmt.Sprintf(`{"path":%q,`, path) + evil }

func raw(path string) string {
	return fmt.Sprintf(`{"path":"d/\ufffd","raw":%q,`, base64.StdEncoding.EncodeToString([]byte(path))) + evil
}

func link(path, target string) string {
	return fmt.Sprintf(`{"path":%q,"type":"symlink","mode":"0777","link":%q}`, path, target)
}

func hardlink(path, target string) string {
	return fmt.Sprintf(`{"path":%q,"type":"hardlink","link":%q}`, path, target)
}

func dir(path string) string {
	return fmt.Sprintf(`{"path":%q,"type":"directory","mode":"0755"}`, path)
}

// Manifests made by somebody who means harm. Each is refused before anything is laid down.
func TestHostileManifests(t *testing.T) {
	outside := t.TempDir()
	victim := filepath.Join(outside, "victim")
	single := []manifest.Source{{Name: "d", Type: manifest.FileSource}}
	tests := map[string]snaptest.Forgery{
		"dot dot":                   {Lines: []string{root, file("d/../x")}},
		"dot dot below":             {Lines: []string{root, dir("d/a"), file("d/a/../../../x")}},
		"dot":                       {Lines: []string{root, file("d/./x")}},
		"absolute":                  {Lines: []string{root, file(victim)}},
		"empty component":           {Lines: []string{root, file("d//x")}},
		"slash at the end":          {Lines: []string{root, file("d/x/")}},
		"empty path":                {Lines: []string{root, file("")}},
		"NUL":                       {Lines: []string{root, `{"path":"d/a\u0000b",` + evil}},
		"raw dot dot":               {Lines: []string{root, raw("d/../\xff")}},
		"raw that is UTF-8":         {Lines: []string{root, raw("d/../x")}},
		"raw elsewhere":             {Lines: []string{root, raw("e/\xff")}},
		"through a symlink":         {Lines: []string{root, link("d/l", outside), file("d/l/victim")}},
		"through a root symlink":    {Lines: []string{link("d", outside), file("d/victim")}},
		"through a file":            {Lines: []string{root, file("d/f"), file("d/f/x")}},
		"directory over symlink":    {Lines: []string{root, link("d/l", outside), dir("d/l"), file("d/l/victim")}},
		"symlink over directory":    {Lines: []string{root, dir("d/l"), link("d/l", outside)}},
		"twice":                     {Lines: []string{root, file("d/f"), file("d/f")}},
		"out of order":              {Lines: []string{root, file("d/g"), file("d/f")}},
		"no parent":                 {Lines: []string{root, file("d/a/b")}},
		"no root":                   {Lines: []string{file("d/a")}, First: "d/a"},
		"hardlink out":              {Lines: []string{root, hardlink("d/h", "/etc/passwd")}},
		"hardlink up":               {Lines: []string{root, hardlink("d/h", "../../etc/passwd")}},
		"hardlink to a symlink":     {Lines: []string{root, link("d/a", "/etc/passwd"), hardlink("d/h", "d/a")}},
		"hardlink to a later one":   {Lines: []string{root, hardlink("d/a", "d/b"), strings.Replace(file("d/b"), `"chunk"`, `"links":2,"chunk"`, 1)}},
		"hardlink to one name":      {Lines: []string{root, file("d/a"), hardlink("d/b", "d/a")}},
		"two files of a file":       {Lines: []string{file("d/a"), file("d/b")}, First: "d/a", Sources: single, Count: 1},
		"a deep file of a file":     {Lines: []string{file("d/a/b")}, First: "d/a/b", Sources: single},
		"a symlink of a file":       {Lines: []string{link("d/a", outside)}, First: "d/a", Sources: single},
		"another source":            {Lines: []string{root, dir("e"), file("e/x")}},
		"size too large":            {Lines: []string{root, strings.Replace(file("d/f"), "%N", "1000000", 1)}, Bytes: 1000000},
		"size too small":            {Lines: []string{root, strings.Replace(file("d/f"), "%N", "1", 1)}, Bytes: 1},
		"extent outside":            {Lines: []string{root, strings.Replace(file("d/f"), "[%A]", "[[0,9999999,4]]", 1)}},
		"extent of huge length":     {Lines: []string{root, strings.Replace(file("d/f"), "[%A]", "[[0,512,9223372036854775807]]", 1)}},
		"unknown archive":           {Lines: []string{root, strings.Replace(file("d/f"), "[%A]", "[[2,512,4]]", 1)}},
		"map outside":               {Lines: []string{root, strings.Replace(file("d/f"), `"extents":[%A]`, `"maps":[[0,99999999,4,"%S"]]`, 1)}},
		"map that is none":          {Lines: []string{root, strings.Replace(file("d/f"), `"extents":[%A]`, `"maps":[[0,512,4,"%S"]]`, 1)}},
		"map with another digest":   {Lines: []string{root, strings.Replace(file("d/f"), `"extents":[%A]`, `"maps":[[0,512,4,"`+strings.Repeat("12", 32)+`"]]`, 1)}},
		"another digest":            {Lines: []string{root, strings.Replace(file("d/f"), "%S", strings.Repeat("12", 32), 1)}},
		"unknown type":              {Lines: []string{root, strings.Replace(file("d/f"), `"file"`, `"device"`, 1)}},
		"keys that differ by case":  {Lines: []string{root, strings.Replace(file("d/f"), `"path"`, `"path":"d/g","Path"`, 1)}},
		"a key twice":               {Lines: []string{root, strings.Replace(file("d/f"), `"path"`, `"path":"d/g","path"`, 1)}},
		"more lines than there are": {Lines: []string{root, file("d/f")}, Count: 3},
	}
	for name, forgery := range tests {
		t.Run(name, func(t *testing.T) {
			forgery.Content = evilText
			if forgery.Bytes == 0 {
				forgery.Bytes = int64(len(evilText)) * int64(strings.Count(strings.Join(forgery.Lines, ""), "%N"))
			}
			local := snaptest.Local(t)
			id := forgery.Forge(t, local)
			parent := t.TempDir()
			target := filepath.Join(parent, "new", "target")
			_, err := restore.Run(t.Context(), snaptest.Open(t, id, local.Store), restore.Options{Target: target})
			if !errors.Is(err, manifest.ErrInvalid) && !errors.Is(err, layout.ErrDigest) {
				t.Errorf("Run = %v", err)
			}
			t.Log(err)
			snaptest.Empty(t, parent)
			snaptest.Empty(t, outside)
			scratch := t.TempDir()
			if _, err := restore.Verify(t.Context(), snaptest.Open(t, id, local.Store), restore.VerifyOptions{Scratch: scratch}); err == nil {
				t.Error("Verify finds nothing wrong")
			}
			snaptest.Empty(t, scratch)
		})
	}
}

// What an honest manifest may say, and a restore must bound all the same.
func TestSuspiciousManifests(t *testing.T) {
	outside := t.TempDir()
	lines := []string{
		`{"path":"d","type":"directory","mode":"7777"}`,
		strings.Replace(file("d/a"), `"0644"`, `"6755"`, 1),
		link("d/b", outside),
		link("d/c", "../../../../../../../../etc/passwd"),
		strings.Replace(file("d/e"), `"chunk"`, `"uid":4294967294,"gid":4294967294,"user":"no such user\n","group":"../x","mtime":"-9223372036.854775808","chunk"`, 1),
		strings.Replace(file("d/f"), `"chunk"`, `"xattrs":[["security.capability","AQAAAg=="],["trusted.x","eA=="]],"chunk"`, 1),
		strings.Replace(file("d/g"), `"size":%N,"sha256":"%S","chunk":4,"extents":[%A]`, `"size":4,"sha256":"%S","chunk":4,"maps":[%M]`, 1),
	}
	forgery := snaptest.Forgery{Content: evilText, Lines: lines, Bytes: 4 * 4}
	local := snaptest.Local(t)
	id := forgery.Forge(t, local)
	target := filepath.Join(t.TempDir(), "target")
	res, err := restore.Run(t.Context(), snaptest.Open(t, id, local.Store), restore.Options{Target: target})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"d", "d/a"} {
		if fi, err := os.Lstat(filepath.Join(target, name)); err != nil || fi.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 {
			t.Errorf("%s has mode %v (%v)", name, fi.Mode(), err)
		}
	}
	if link, err := os.Readlink(filepath.Join(target, "d/b")); err != nil || link != outside {
		t.Errorf("link to %q (%v)", link, err)
	}
	listed := lost(res)
	for _, want := range []string{"d setuid or setgid bit (see --privileged-metadata) 2", "d/f extended attribute "} {
		if !strings.Contains(listed, want) {
			t.Errorf("%q is not in what was not kept:\n%s", want, listed)
		}
	}
	if data, err := os.ReadFile(filepath.Join(target, "d/g")); err != nil || string(data) != evilText {
		t.Errorf("a file with a map of one extent is %q (%v)", data, err)
	}
	snaptest.Empty(t, outside)
}
