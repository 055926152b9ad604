//go:build unix

package main

import (
	"os/exec"
	"path/filepath"
)

// A tool is who is measured.
type tool struct {
	name            string
	prepare, forget func() *exec.Cmd // not measured; nil if there is nothing to do
	backup          func() *exec.Cmd
	restore         func() *exec.Cmd // into the target, which does not exist
	one             func() *exec.Cmd
	list            func() *exec.Cmd
}

func (d *distance) target() string { return filepath.Join(d.Scratch, "target") }

func (d *distance) lifeboat() tool {
	command := func(store string, args ...string) func() *exec.Cmd {
		return func() *exec.Cmd {
			cmd := d.Command(bucket+"/lifeboat", filepath.Join(d.Scratch, store), args...)
			cmd.Env = []string{"AWS_ENDPOINT_URL_S3=" + d.endpoint}
			return cmd
		}
	}
	return tool{
		name:    "lifeboat",
		backup:  command("store", "backup", "--json", "data="+d.source),
		restore: command("none", "restore", "latest", "--target", d.target()), // as on another machine
		one:     command("none", "cat", "latest", "data/"+small),
		list:    command("store", "list"),
	}
}

func (d *distance) restic() tool {
	cache := filepath.Join(d.Scratch, "restic")
	command := func(args ...string) func() *exec.Cmd {
		return func() *exec.Cmd {
			cmd := exec.Command("restic", append(args, "--quiet")...)
			cmd.Env = []string{"RESTIC_PASSWORD=bench", "RESTIC_CACHE_DIR=" + cache, "RESTIC_REPOSITORY=s3:" + d.endpoint + "/" + bucket + "/restic"}
			return cmd
		}
	}
	return tool{
		name: "restic", prepare: command("init"), forget: func() *exec.Cmd { return exec.Command("rm", "-rf", cache) },
		backup:  command("backup", d.source),
		restore: command("restore", "latest", "--target", d.target()),
		one:     command("dump", "latest", filepath.Join(d.source, small)),
		list:    command("snapshots"),
	}
}
