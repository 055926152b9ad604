package integration_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"lifeboat/integration/miniotest"
	"lifeboat/internal/sampleapp"
)

// A drill of a bucket leaves its evidence there, in one chain, and a record that is taken out of the bucket is missed. With credentials that may
// only read, a drill proves as much, and what it proved is in a file.
func TestDrillOfABucket(t *testing.T) {
	server := miniotest.Start(t)
	bucket := server.Bucket(t)
	remote := "s3://" + bucket + "/app"
	app := filepath.Join(t.TempDir(), "app")
	if err := sampleapp.Create(t.Context(), app, 8); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, server)
	m.must(nil, "backup", app, "--remote", remote)
	var drills []string
	type report struct {
		OK     bool
		Record struct {
			Mode            string
			Files           int64
			Fetched         int64
			Checks          struct{ Files, Databases, Rows int64 }
			Previous        []struct{ Name string }
			Phases          []struct{ Name string }
			Snapshot, Store any
		}
		Evidence struct {
			Name   string
			Stored bool
		}
		Recovery struct{ Basis, From string }
	}
	for i, args := range [][]string{{}, {"--no-scratch"}, {"--pick", "oldest", "--bandwidth", "100Mbit"}} {
		var r report
		m.must(&r, append([]string{"drill", "--remote", remote, "--app", "app"}, args...)...)
		if !r.OK || !r.Evidence.Stored || r.Record.Checks.Files != r.Record.Files || r.Record.Fetched == 0 || r.Recovery.From != bucket || len(r.Record.Previous) != min(i, 1) {
			t.Errorf("%q: %+v", args, r)
		}
		if i > 0 && "drills/"+r.Record.Previous[0].Name != drills[i-1] {
			t.Errorf("%q follows %+v, and not %s", args, r.Record.Previous, drills[i-1])
		}
		if r.Record.Mode == "restore" && (r.Record.Checks.Databases == 0 || r.Record.Checks.Rows == 0 || r.Recovery.Basis != "measured") {
			t.Errorf("%q: %+v", args, r)
		}
		drills = append(drills, r.Evidence.Name)
	}
	m.must(nil, "validate", "--remote", remote, "--app", "app")

	var backup struct{ Recovery struct{ Basis, From string } }
	m.must(&backup, "backup", app, "--remote", remote)
	if backup.Recovery.Basis != "scaled" || backup.Recovery.From != bucket {
		t.Errorf("after a backup: %+v", backup)
	}

	reader := *m
	reader.env = append(slices.Clone(m.env), server.User(t, miniotest.Policy(miniotest.Statement{Actions: []string{"ListBucket", "GetObject"}, Resources: []string{bucket, bucket + "/*"}})).Environ()...)
	file := filepath.Join(m.home, "evidence.json")
	out, errs, code := reader.run("drill", "--remote", remote, "--app", "app", "--evidence", file, "--retry-for", "0s")
	data, err := os.ReadFile(file)
	if code != 0 || !strings.Contains(out, "it comes back") || !strings.Contains(errs, "the evidence could not be stored at "+remote) || err != nil || !json.Valid(data) {
		t.Errorf("with credentials that may only read: %d, %v\n%s%s%s", code, err, out, errs, data)
	}

	client := server.Client(t)
	if err := client.RemoveObject(t.Context(), bucket, "app/"+drills[1], minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	other := newMachine(t, server)
	out, errs, code = other.run("validate", "--remote", remote)
	if code != 4 || !strings.Contains(out, "evidence_missing: "+drills[1]) {
		t.Errorf("a record was removed: %d\n%s%s", code, out, errs)
	}
}
