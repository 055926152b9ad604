package main

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

// same checks that two trees are alike in names, types, modes, times, contents and links: same TREE TREE. Where a directory
// changed its time since, say: same -dirtimes TREE TREE.
func same(ts *testscript.TestScript, neg bool, args []string) {
	dirTimes := args[0] != "-dirtimes"
	if !dirTimes {
		args = args[1:]
	}
	var trees [2]map[string]string
	for i := range trees {
		tree, err := describeTree(ts.MkAbs(args[i]), dirTimes)
		ts.Check(err)
		trees[i] = tree
	}
	if diff := cmp.Diff(trees[0], trees[1]); (diff != "") != neg {
		ts.Fatalf("%s and %s (-, +):\n%s", args[0], args[1], diff)
	}
}

// describeTree says of each name in a tree what it is. Names of one file are told by the first of them.
func describeTree(root string, dirTimes bool) (map[string]string, error) {
	tree := map[string]string{}
	var links []struct {
		fs.FileInfo
		name string
	}
	return tree, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			tree[name] = "-> " + target // its time and mode cannot be set everywhere
			return err
		case info.IsDir():
			if dirTimes {
				text += " " + info.ModTime().UTC().String()
			}
			tree[name] = text
			return nil
		}
		for _, l := range links {
			if os.SameFile(l.FileInfo, info) {
				tree[name] = "= " + l.name
				return nil
			}
		}
		links = append(links, struct {
			fs.FileInfo
			name string
		}{info, name})
		data, err := os.ReadFile(path)
		tree[name] = fmt.Sprintf("%s %s %d bytes %x", text, info.ModTime().UTC(), len(data), sha256.Sum256(data))
		return err
	})
}

// noWriters checks that no process of a demonstration below this script's directory is left: nowriters.
func noWriters(ts *testscript.TestScript, neg bool, args []string) {
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	ts.Check(err)
	if len(commands) == 0 {
		ts.Fatalf("this system does not tell what runs")
	}
	for _, file := range commands {
		line, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(line), "--writer") && strings.Contains(string(line), ts.Getenv("WORK")) {
			ts.Fatalf("%s is left: %q", file, line)
		}
	}
}
