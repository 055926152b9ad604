//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"lifeboat/bench/rig"
	"lifeboat/integration/miniotest"
)

// contestants returns who takes part: lifeboat, and those of the others that are asked for and installed. Who is not is said by name.
func (b *bench) contestants(ctx context.Context, asked []string) (list []contestant, absent []string) {
	list = []contestant{lifeboat(b)}
	for _, peer := range []struct {
		name     string
		programs []string
		make     func(*bench) contestant
	}{
		{"restic", []string{"restic"}, restic},
		{"kopia", []string{"kopia"}, kopia},
		{"rclone", []string{"rclone"}, rclone},
		{"pipeline", []string{"sqlite3", "tar", "zstd"}, pipeline},
	} {
		if !slices.Contains(asked, peer.name) {
			continue
		}
		missing := slices.DeleteFunc(peer.programs, func(p string) bool { _, err := exec.LookPath(p); return err == nil })
		if peer.name == "pipeline" && len(missing) == 0 {
			var err error
			if b.mc, err = miniotest.ClientProgram(ctx); err != nil {
				fmt.Fprintln(os.Stderr, err)
				missing = []string{"mc"}
			}
		}
		if len(missing) > 0 {
			absent = append(absent, peer.name+" (no "+strings.Join(missing, ", ")+")")
			continue
		}
		list = append(list, peer.make(b))
	}
	return list, absent
}

func lifeboat(b *bench) contestant {
	command := func(p place, args ...string) *exec.Cmd {
		return b.Command(bucket+"/"+p.prefix, filepath.Join(p.dir, "store"), args...)
	}
	elsewhere := func(p place, args ...string) *exec.Cmd { // as on another machine
		p.dir = filepath.Join(p.dir, "none")
		return command(p, args...)
	}
	return contestant{
		name: "lifeboat", version: rig.Version(b.Lifeboat, "version"),
		backup:  func(p place) *exec.Cmd { return command(p, "backup", "data="+p.source) },
		restore: func(p place) *exec.Cmd { return elsewhere(p, "restore", "latest", "--target", p.target) },
		one:     func(p place) *exec.Cmd { return elsewhere(p, "cat", "latest", "data/"+p.small) },
		list:    func(p place) *exec.Cmd { return command(p, "list") },
		verify:  func(p place) *exec.Cmd { return elsewhere(p, "validate", "--read-data") },
		laid:    func(p place) string { return filepath.Join(p.target, "data") },
	}
}

func restic(b *bench) contestant {
	command := func(p place, args ...string) *exec.Cmd {
		return with(exec.Command("restic", append(args, "--quiet")...), "RESTIC_PASSWORD=bench", "RESTIC_CACHE_DIR="+filepath.Join(p.dir, "cache"),
			"RESTIC_REPOSITORY=s3:"+b.Server.Endpoint+"/"+bucket+"/"+p.prefix)
	}
	return contestant{
		name: "restic", version: rig.Version("restic", "version"),
		prepare: []func(place) *exec.Cmd{func(p place) *exec.Cmd { return command(p, "init") }},
		backup:  func(p place) *exec.Cmd { return command(p, "backup", p.source) },
		forget:  func(p place) *exec.Cmd { return exec.Command("rm", "-rf", filepath.Join(p.dir, "cache")) },
		restore: func(p place) *exec.Cmd { return command(p, "restore", "latest", "--target", p.target) },
		one:     func(p place) *exec.Cmd { return command(p, "dump", "latest", filepath.Join(p.source, p.small)) },
		list:    func(p place) *exec.Cmd { return command(p, "snapshots") },
		verify:  func(p place) *exec.Cmd { return command(p, "check", "--read-data") },
		laid:    func(p place) string { return filepath.Join(p.target, p.source) },
	}
}

// kopia compresses with zstd-fastest: its default is not to compress.
func kopia(b *bench) contestant {
	env := func(p place) []string {
		return []string{"KOPIA_PASSWORD=bench-bench", "KOPIA_CHECK_FOR_UPDATES=false", "KOPIA_CONFIG_PATH=" + filepath.Join(p.dir, "kopia.config"), "KOPIA_LOG_DIR=" + filepath.Join(p.dir, "log"),
			"KOPIA_CACHE_DIRECTORY=" + filepath.Join(p.dir, "cache"), "SOURCE=" + p.source, "TARGET=" + p.target, "SMALL=" + p.small}
	}
	command := func(p place, args ...string) *exec.Cmd { return with(exec.Command("kopia", args...), env(p)...) }
	newest := `ID=$(kopia snapshot list --json --max-results 1 "$SOURCE" | grep -o '"obj":"[^"]*"' | tail -1 | cut -d'"' -f4)` + "\n"
	return contestant{
		name: "kopia zstd-fastest", version: "kopia " + rig.Version("kopia", "--version"),
		prepare: []func(place) *exec.Cmd{
			func(p place) *exec.Cmd {
				return command(p, "repository", "create", "s3", "--bucket", bucket, "--prefix", p.prefix+"/", "--endpoint", strings.TrimPrefix(b.Server.Endpoint, "http://"), "--disable-tls",
					"--access-key", b.Server.AccessKey, "--secret-access-key", b.Server.SecretKey, "--no-check-for-updates")
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
		return fmt.Sprintf(":s3,provider=Minio,env_auth=true,endpoint='%s':%s/%s", b.Server.Endpoint, bucket, p.prefix)
	}
	return contestant{
		name: "rclone sync, no compression", version: rig.Version("rclone", "version"),
		backup:  func(p place) *exec.Cmd { return exec.Command("rclone", "sync", "--quiet", p.source, at(p)) },
		restore: func(p place) *exec.Cmd { return exec.Command("rclone", "sync", "--quiet", at(p), p.target) },
		one:     func(p place) *exec.Cmd { return exec.Command("rclone", "cat", "--quiet", at(p)+"/"+p.small) },
		list:    func(p place) *exec.Cmd { return exec.Command("rclone", "lsf", at(p)) },
		laid:    func(p place) string { return p.target },
	}
}

// staging returns a script that copies each database into $STAGE as it is at one moment, and the option of tar that leaves them out.
func (b *bench) staging() (script, leave string) {
	var s, l strings.Builder
	s.WriteString("rm -rf \"$STAGE\"; mkdir \"$STAGE\"\n")
	for _, db := range b.databases {
		fmt.Fprintf(&s, "mkdir -p \"$STAGE\"/%q && sqlite3 \"$SOURCE\"/%q \".backup '$STAGE/%s'\"\n", filepath.Dir(db), db, db)
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			fmt.Fprintf(&l, " --exclude=%q", "./"+db+suffix)
		}
	}
	return s.String(), l.String()
}

// pipeline is how it is done by hand: each backup is one object. mc sends parts of 64 MiB, as many at once as it chooses.
func pipeline(b *bench) contestant {
	stage, leave := b.staging()
	script := stage + `tar -cf - -C "$STAGE" . -C "$SOURCE"` + leave + ` . | zstd -q -3 -T0 | "$MC" pipe --quiet "$OBJECT"`
	command := func(script string, p place) *exec.Cmd {
		return bash(script, "STAGE="+filepath.Join(p.dir, "stage"), "SOURCE="+p.source, "TARGET="+p.target, "MC="+b.mc, "SMALL=./"+p.small, "OBJECT=bench/"+bucket+"/"+p.prefix+"/backup.tar.zst",
			fmt.Sprintf("MC_HOST_bench=http://%s:%s@%s", b.Server.AccessKey, b.Server.SecretKey, strings.TrimPrefix(b.Server.Endpoint, "http://")), "MC_CONFIG_DIR="+filepath.Join(p.dir, "mc"))
	}
	return contestant{
		name:    "sqlite3 .backup, tar, zstd -3 -T0, mc pipe",
		version: strings.Join([]string{rig.Version(b.mc, "--version"), rig.Version("zstd", "--version"), "sqlite3 " + rig.Version("sqlite3", "--version")}, "; "),
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
		stages: true, rewrites: true,
	}
}
