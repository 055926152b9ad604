package integration_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/integration/miniotest"
	"lifeboat/internal/sampleapp"
)

// listing is the part of `ls --json` that is looked at.
type listing struct {
	Files []struct {
		Path, Type, SHA256 string
		Size               int64
		SQLite             *struct{ Integrity string }
	}
}

// The promise of the product: an application's state goes to a bucket while it is written to, and comes back on a machine that has
// nothing but the program and the credentials.
func TestLiveBackupToEmptyMachine(t *testing.T) {
	server := miniotest.Start(t)
	remote := "s3://" + server.Bucket(t) + "/deep/prefix"
	app := filepath.Join(t.TempDir(), "ledger")
	if err := sampleapp.Create(t.Context(), app, 1); err != nil {
		t.Fatal(err)
	}
	writer := startApplication(t, app, 1)
	first := newMachine(t, server)
	first.must(nil, "backup", app, "--remote", remote)
	writer.stop()

	second := newMachine(t, server)
	target := filepath.Join(second.home, "restored")
	var restored struct {
		IntegrityOK        bool `json:"integrity_ok"`
		PreRestoreSnapshot *string
	}
	second.must(&restored, "restore", "latest", "--remote", remote, "--target", target)
	if !restored.IntegrityOK {
		t.Error("integrity_ok is false")
	}
	if _, err := os.Stat(filepath.Join(second.home, "lifeboat")); !os.IsNotExist(err) {
		t.Errorf("a restore made a local store: %v", err)
	}
	if _, err := sampleapp.Verify(t.Context(), filepath.Join(target, "ledger")); err != nil {
		t.Error(err)
	}

	var l listing
	second.must(&l, "ls", "latest", "--remote", remote)
	if len(l.Files) < 8 {
		t.Fatalf("only %d files are listed", len(l.Files))
	}
	databases := 0
	for _, f := range l.Files {
		if f.Type != "file" {
			continue
		}
		got, err := os.ReadFile(filepath.Join(target, filepath.FromSlash(f.Path)))
		if err != nil {
			t.Error(err)
			continue
		}
		if sum := sha256.Sum256(got); hex.EncodeToString(sum[:]) != f.SHA256 || int64(len(got)) != f.Size {
			t.Errorf("%s is not what the manifest says", f.Path)
		}
		if f.SQLite != nil {
			databases++
			if f.SQLite.Integrity != "ok" {
				t.Errorf("%s: integrity %s", f.Path, f.SQLite.Integrity)
			}
			continue
		}
		// What nobody wrote to must be what it was.
		if strings.HasSuffix(f.Path, ".json") {
			continue
		}
		want, err := os.ReadFile(filepath.Join(app, strings.TrimPrefix(filepath.FromSlash(f.Path), "ledger/")))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs from the source: %v", f.Path, err)
		}
	}
	if databases != 2 {
		t.Errorf("%d databases were recognised, want 2", databases)
	}
	second.must(nil, "validate", "--read-data", "--remote", remote)
}

const (
	captures          = 20
	commitsPerCapture = 1000
	writers           = 2
)

// Two processes commit as fast as they can, through twenty captures with at least a thousand commits from the beginning of each
// to the beginning of the next. Every captured state is consistent, and no writer ever gets an error.
func TestTwentyCapturesUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT CHECKED under -short: captures while two processes write at full speed")
	}
	app := filepath.Join(t.TempDir(), "ledger")
	if err := sampleapp.Create(t.Context(), app, 2); err != nil {
		t.Fatal(err)
	}
	var apps []*application
	for i := range writers {
		apps = append(apps, startApplication(t, app, i+1))
	}
	commits := func() (n int64) {
		for _, a := range apps {
			n += a.commits.Load()
		}
		return n
	}
	m := newMachine(t, nil)
	remote := filepath.Join(t.TempDir(), "remote")
	var stamps []string
	for range captures {
		before := commits()
		var b struct {
			Stamp string
			State string
		}
		m.must(&b, "backup", app, "--remote", remote)
		if b.State != "complete" {
			t.Errorf("snapshot %s is %s", b.Stamp, b.State)
		}
		stamps = append(stamps, b.Stamp)
		waitFor(t, apps, func() bool { return commits() >= before+commitsPerCapture })
	}
	total := int64(0)
	for _, a := range apps {
		total += a.stop()
	}
	if total < captures*commitsPerCapture {
		t.Errorf("%d commits in all, want %d", total, captures*commitsPerCapture)
	}
	t.Logf("%d commits during %d captures", total, captures)

	last := int64(-1)
	for i, stamp := range stamps {
		target := filepath.Join(t.TempDir(), "r")
		m.must(nil, "restore", stamp, "--remote", remote, "--target", target)
		report, err := sampleapp.Verify(t.Context(), filepath.Join(target, "ledger"))
		if err != nil {
			t.Errorf("capture %d, %s: %v", i, stamp, err)
		}
		if report.Total != sampleapp.Total {
			t.Errorf("capture %d: the sum of all balances is %d, not %d", i, report.Total, sampleapp.Total)
		}
		if report.Transfers < last {
			t.Errorf("capture %d has %d transfers, the one before %d", i, report.Transfers, last)
		}
		last = report.Transfers
		if err := os.RemoveAll(target); err != nil {
			t.Fatal(err)
		}
	}
}
