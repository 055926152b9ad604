//go:build unix

package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// contestants returns who takes part: lifeboat, the pipeline, and those of the others that are installed. Who is not is said by name.
func (b *bench) contestants() (list []contestant, absent []string) {
	list = []contestant{lifeboat(b)}
	for _, peer := range []struct {
		program string
		make    func(*bench) contestant
	}{{"restic", restic}, {"kopia", kopia}, {"rclone", rclone}} {
		if _, err := exec.LookPath(peer.program); err != nil {
			absent = append(absent, peer.program)
			continue
		}
		list = append(list, peer.make(b))
	}
	return append(list, pipeline(b)), absent
}

func lifeboat(b *bench) contestant {
	command := func(p place, args ...string) *exec.Cmd {
		return exec.Command(b.program, append(args, "--remote", "s3://"+bucket+"/"+p.prefix, "--store", filepath.Join(p.dir, "store"), "--progress", "none")...)
	}
	elsewhere := func(p place, args ...string) *exec.Cmd { // as on another machine
		p.dir = filepath.Join(p.dir, "none")
		return command(p, args...)
	}
	return contestant{
		name: "lifeboat", version: firstLine(b.program, "version"),
		backup:  func(p place) *exec.Cmd { return command(p, "backup", "data="+p.source) },
		restore: func(p place) *exec.Cmd { return elsewhere(p, "restore", "latest", "--target", p.target) },
		one:     func(p place) *exec.Cmd { return elsewhere(p, "cat", "latest", "data/"+b.small) },
		list:    func(p place) *exec.Cmd { return command(p, "list") },
		verify:  func(p place) *exec.Cmd { return elsewhere(p, "validate", "--read-data") },
		laid:    func(p place) string { return filepath.Join(p.target, "data") },
	}
}

func restic(b *bench) contestant {
	command := func(p place, args ...string) *exec.Cmd {
		return with(exec.Command("restic", append(args, "--quiet")...), "RESTIC_PASSWORD=bench", "RESTIC_CACHE_DIR="+filepath.Join(p.dir, "cache"),
			"RESTIC_REPOSITORY=s3:"+b.server.Endpoint+"/"+bucket+"/"+p.prefix)
	}
	return contestant{
		name: "restic", version: firstLine("restic", "version"),
		prepare: []func(place) *exec.Cmd{func(p place) *exec.Cmd { return command(p, "init") }},
		backup:  func(p place) *exec.Cmd { return command(p, "backup", p.source) },
		forget:  func(p place) *exec.Cmd { return exec.Command("rm", "-rf", filepath.Join(p.dir, "cache")) },
		restore: func(p place) *exec.Cmd { return command(p, "restore", "latest", "--target", p.target) },
		one:     func(p place) *exec.Cmd { return command(p, "dump", "latest", filepath.Join(p.source, b.small)) },
		list:    func(p place) *exec.Cmd { return command(p, "snapshots") },
		verify:  func(p place) *exec.Cmd { return command(p, "check", "--read-data") },
		laid:    func(p place) string { return filepath.Join(p.target, p.source) },
	}
}

// kopia compresses with zstd-fastest: its default is not to compress.
func kopia(b *bench) contestant {
	env := func(p place) []string {
		return []string{"KOPIA_PASSWORD=bench-bench", "KOPIA_CHECK_FOR_UPDATES=false", "KOPIA_CONFIG_PATH=" + filepath.Join(p.dir, "kopia.config"), "KOPIA_LOG_DIR=" + filepath.Join(p.dir, "log"),
			"KOPIA_CACHE_DIRECTORY=" + filepath.Join(p.dir, "cache"), "SOURCE=" + p.source, "TARGET=" + p.target, "SMALL=" + b.small}
	}
	command := func(p place, args ...string) *exec.Cmd { return with(exec.Command("kopia", args...), env(p)...) }
	newest := `ID=$(kopia snapshot list --json --max-results 1 "$SOURCE" | grep -o '"obj":"[^"]*"' | tail -1 | cut -d'"' -f4)` + "\n"
	return contestant{
		name: "kopia zstd-fastest", version: "kopia " + firstLine("kopia", "--version"),
		prepare: []func(place) *exec.Cmd{
			func(p place) *exec.Cmd {
				return command(p, "repository", "create", "s3", "--bucket", bucket, "--prefix", p.prefix+"/", "--endpoint", strings.TrimPrefix(b.server.Endpoint, "http://"), "--disable-tls",
					"--access-key", b.server.AccessKey, "--secret-access-key", b.server.SecretKey, "--no-check-for-updates")
			},
			func(p place) *exec.Cmd {
				return command(p, "policy", "set", "--global", "--compression", "zstd-fastest")
			},
		},
		backup:  func(p place) *exec.Cmd { return command(p, "snapshot", "create", "--no-progress", p.source) },
		forget:  func(p place) *exec.Cmd { return command(p, "cache", "clear") },
		restore: func(p place) *exec.Cmd { return bash(newest+`kopia restore --no-progress "$ID" "$TARGET"`, env(p)...) },
		one:     func(p place) *exec.Cmd { return bash(newest+`kopia show "$ID/$SMALL"`, env(p)...) },
		list:    func(p place) *exec.Cmd { return command(p, "snapshot", "list") },
		verify:  func(p place) *exec.Cmd { return command(p, "snapshot", "verify", "--verify-files-percent=100") },
		laid:    func(p place) string { return p.target },
	}
}

// rclone keeps one state, the newest, and verifies nothing by itself.
func rclone(b *bench) contestant {
	at := func(p place) string {
		return fmt.Sprintf(":s3,provider=Minio,env_auth=true,endpoint='%s':%s/%s", b.server.Endpoint, bucket, p.prefix)
	}
	return contestant{
		name: "rclone sync, no compression", version: firstLine("rclone", "version"),
		backup:  func(p place) *exec.Cmd { return exec.Command("rclone", "sync", "--quiet", p.source, at(p)) },
		restore: func(p place) *exec.Cmd { return exec.Command("rclone", "sync", "--quiet", at(p), p.target) },
		one:     func(p place) *exec.Cmd { return exec.Command("rclone", "cat", "--quiet", at(p)+"/"+b.small) },
		list:    func(p place) *exec.Cmd { return exec.Command("rclone", "lsf", at(p)) },
		laid:    func(p place) string { return p.target },
	}
}

// pipeline is how it is done by hand: each backup is one object. mc sends parts of 64 MiB, as many at once as it chooses.
func pipeline(b *bench) contestant {
	var stage, leave strings.Builder
	for _, db := range b.databases {
		fmt.Fprintf(&stage, "mkdir -p \"$STAGE\"/%q && sqlite3 \"$SOURCE\"/%q \".backup '$STAGE/%s'\"\n", filepath.Dir(db), db, db)
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			fmt.Fprintf(&leave, " --exclude=%q", "./"+db+suffix)
		}
	}
	script := "rm -rf \"$STAGE\"; mkdir \"$STAGE\"\n" + stage.String() +
		`tar -cf - -C "$STAGE" . -C "$SOURCE"` + leave.String() + ` . | zstd -q -3 -T0 | "$MC" pipe --quiet "$OBJECT"`
	command := func(script string, p place) *exec.Cmd {
		return bash(script, "STAGE="+filepath.Join(p.dir, "stage"), "SOURCE="+p.source, "TARGET="+p.target, "MC="+b.mc, "SMALL=./"+b.small,
			"OBJECT=bench/"+bucket+"/"+p.prefix+"/backup.tar.zst")
	}
	return contestant{
		name:    "sqlite3 .backup, tar, zstd -3 -T0, mc pipe",
		version: strings.Join([]string{firstLine(b.mc, "--version"), firstLine("zstd", "--version"), "sqlite3 " + firstLine("sqlite3", "--version")}, "; "),
		backup:  func(p place) *exec.Cmd { return command(script, p) },
		restore: func(p place) *exec.Cmd {
			return command(`mkdir "$TARGET"; "$MC" cat "$OBJECT" | zstd -q -dc | tar -xf - -C "$TARGET"`, p)
		},
		one: func(p place) *exec.Cmd {
			return command(`"$MC" cat "$OBJECT" | zstd -q -dc | tar -xOf - "$SMALL"`, p)
		},
		list:   func(p place) *exec.Cmd { return command(`"$MC" ls "$OBJECT"`, p) },
		verify: func(p place) *exec.Cmd { return command(`"$MC" cat "$OBJECT" | zstd -q -t`, p) },
		laid:   func(p place) string { return p.target },
	}
}
