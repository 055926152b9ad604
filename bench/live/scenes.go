//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"lifeboat/bench/rig"
)

// A scene is what happens while an application writes.
type scene struct {
	mode, name string
	needs      []string // programs
	acts       []act
}

// An act is a command that is measured. Without one, nobody does anything.
type act struct {
	name    string
	command func(db, dir, prefix string) *exec.Cmd
}

// A stage is where scenes are played.
type stage struct {
	*rig.Rig
	seconds, limit int
	origin         string // the database of which each scene has a copy
	played         int
}

func (s *stage) scenes() []scene {
	lifeboat := func(db, dir, prefix string) *exec.Cmd {
		return s.Command(bucket+"/"+prefix, filepath.Join(dir, "store"), "backup", "data="+db)
	}
	restic := func(copying string) func(db, dir, prefix string) *exec.Cmd {
		return func(db, dir, prefix string) *exec.Cmd {
			return bash(fmt.Sprintf(`timeout %d sqlite3 "$DB" ".timeout 5000" "%s" || { echo "%[2]s: exit status $? (124: it had not ended after %[1]d s)" >&2; exit 1; }
				restic --quiet init; restic --quiet backup "$STAGE"`, s.limit, copying), "DB="+db, "STAGE="+filepath.Join(dir, "staged.sqlite"), "RESTIC_PASSWORD=bench",
				"RESTIC_CACHE_DIR="+filepath.Join(dir, "cache"), "RESTIC_REPOSITORY=s3:"+s.Server.Endpoint+"/"+bucket+"/"+prefix)
		}
	}
	litestream := func(db, dir, prefix string) *exec.Cmd {
		config := fmt.Sprintf(`dbs: [{path: %q, replica: {type: s3, bucket: %q, path: %q, endpoint: %q, region: %q, force-path-style: true}}]`, db, bucket, prefix, s.Server.Endpoint, s.Server.Region)
		return bash(fmt.Sprintf(`echo "$CONFIG" > "$DIR/litestream.yml"; timeout --signal=INT %d litestream replicate -config "$DIR/litestream.yml" || [ $? = 124 ]`, s.seconds),
			"CONFIG="+config, "DIR="+dir, "AWS_CA_BUNDLE=", "LITESTREAM_ACCESS_KEY_ID="+s.Server.AccessKey, "LITESTREAM_SECRET_ACCESS_KEY="+s.Server.SecretKey)
	}
	var list []scene
	for _, mode := range []string{"wal", "delete"} {
		list = append(list,
			scene{mode, "nobody", nil, []act{{"nobody", nil}}},
			scene{mode, "lifeboat", nil, []act{{"lifeboat, first backup", lifeboat}, {"lifeboat, second", lifeboat}}})
		if mode == "wal" {
			list = append(list, scene{mode, "litestream", []string{"litestream", "timeout"}, []act{{fmt.Sprintf("litestream, its first %d s", s.seconds), litestream}}})
		}
		needs := []string{"restic", "sqlite3", "timeout"}
		list = append(list,
			scene{mode, "restic", needs, []act{{"sqlite3 VACUUM INTO, restic", restic("VACUUM INTO '$STAGE'")}}},
			scene{mode, "restic", needs, []act{{"sqlite3 .backup, restic", restic(".backup '$STAGE'")}}})
	}
	return list
}

// A result is what an act did to an application, and what it took itself.
type result struct {
	Mode   string
	Rate   int
	Act    string
	Ran    time.Duration
	Felt   Felt
	Tool   rig.Sample
	Failed string `json:",omitempty"`
}

// play plays a scene over a copy of the database. What fails is in the result.
func (s *stage) play(sc scene, rate int) (results []*result, err error) {
	for _, p := range sc.needs {
		if _, err := exec.LookPath(p); err != nil {
			return []*result{{Mode: sc.mode, Rate: rate, Act: sc.acts[0].name, Failed: "there is no " + p}}, nil
		}
	}
	s.played++
	dir := filepath.Join(s.Scratch, fmt.Sprint("scene", s.played))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	db := filepath.Join(dir, "app.sqlite")
	rig.LevelMemory()
	if out, err := exec.Command("cp", s.origin, db).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("copy %s: %w\n%s", s.origin, err, out)
	}
	app, err := start(db, sc.mode, rate)
	if err != nil {
		return nil, err
	}
	defer app.end()
	for _, act := range sc.acts {
		time.Sleep(warmUp)
		app.look()
		r := &result{Mode: sc.mode, Rate: rate, Act: act.name}
		began := time.Now()
		if act.command == nil {
			time.Sleep(time.Duration(s.seconds) * time.Second)
		} else if r.Tool, err = s.Beside(act.command(db, dir, fmt.Sprint("scene", s.played))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			r.Failed = err.Error()
		}
		r.Ran, r.Felt = time.Since(began), app.look()
		results = append(results, r)
	}
	return results, nil
}

func bash(script string, env ...string) *exec.Cmd {
	cmd := exec.Command("bash", "-c", "set -euo pipefail\n"+script)
	cmd.Env = env
	return cmd
}
