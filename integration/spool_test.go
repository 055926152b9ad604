//go:build unix

package integration_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/integration/miniotest"
	"lifeboat/internal/sqlitedb"
)

// A closedGate holds every upload of an archive until it is opened.
type closedGate struct {
	arrived chan struct{} // one for each upload that came to it
	open    chan struct{}
	once    sync.Once
}

func newGate(t *testing.T, proxy *miniotest.Proxy) *closedGate {
	g := &closedGate{arrived: make(chan struct{}, 10_000), open: make(chan struct{})}
	proxy.Inject(func(_ int, r *http.Request) miniotest.Action {
		if isArchiveRequest(r, http.MethodPut) {
			g.arrived <- struct{}{}
			select {
			case <-g.open:
			case <-r.Context().Done():
			}
		}
		return miniotest.Action{}
	})
	t.Cleanup(g.release)
	return g
}

func (g *closedGate) release() { g.once.Do(func() { close(g.open) }) }

// says waits until a command has said something beside its result.
func (r *running) says(text string) {
	r.t.Helper()
	r.until("it said "+text, func() bool { return strings.Contains(r.err.String(), text) })
}

// while does something again and again until the command has ended.
func (r *running) while(do func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Wait()
	}()
	for {
		select {
		case <-ended:
			return
		case <-time.After(time.Millisecond):
			do()
		}
	}
}

// liveDatabase is a database in WAL mode that this process has open, of about so many MiB that cannot be compressed.
func liveDatabase(t *testing.T, path string, mib int) *sql.DB {
	t.Helper()
	db, err := sqlitedb.OpenApp(path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	execute(t, db, "PRAGMA journal_mode=wal", "PRAGMA wal_autocheckpoint=0", "CREATE TABLE t(id INTEGER PRIMARY KEY, body BLOB)")
	for range mib {
		execute(t, db, "INSERT INTO t(body) VALUES(randomblob(1048576))")
	}
	if !truncated(t, db) {
		t.Fatal("the log cannot be reset, though nobody else has the database")
	}
	return db
}

func execute(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("the application got an error: %s: %v", s, err)
		}
	}
}

// truncated writes a row and reports whether the log can be reset then, which nobody's pin allows.
func truncated(t *testing.T, db *sql.DB) bool {
	t.Helper()
	execute(t, db, "PRAGMA busy_timeout=0", "INSERT INTO t(body) VALUES('x')")
	var busy, log, done int
	if err := db.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &done); err != nil {
		t.Fatal(err)
	}
	return busy == 0
}

func noise(t *testing.T, path string, mib int) {
	t.Helper()
	data := make([]byte, mib<<20)
	rand.NewChaCha8([32]byte{1}).Read(data)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// spooled returns how many bytes of archives are in the local store of a machine, also of those that are being written.
func (m *machine) spooled() (n int64) {
	filepath.WalkDir(filepath.Join(m.home, "lifeboat", "archives"), func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			if fi, err := e.Info(); err == nil {
				n += fi.Size()
			}
		}
		return nil
	})
	return n
}

// archivesPut counts how often each archive was stored.
func archivesPut(proxy *miniotest.Proxy) map[string]int {
	puts := map[string]int{}
	for _, r := range proxy.Requests() {
		if r.Method == http.MethodPut && strings.Contains(r.Path, "/archives/") && r.Status == http.StatusOK {
			puts[r.Path]++
		}
	}
	return puts
}

// With room in the spool, a database is no longer pinned while the network has not taken a byte.
func TestSlowStoreDoesNotProlongThePin(t *testing.T) {
	proxy := miniotest.Start(t).Proxy(t)
	bucket := proxy.Bucket(t)
	m := newMachine(t, proxy.Server)
	db := liveDatabase(t, filepath.Join(m.home, "app.db"), 40)
	gate := newGate(t, proxy)
	backup := m.start("backup", filepath.Join(m.home, "app.db"), "--remote", "s3://"+bucket+"/app", "--progress", "none", "--json")
	<-gate.arrived // something of the database is packed, so it was pinned
	tries := 0
	for !truncated(t, db) {
		tries++
	}
	t.Logf("the log could be reset at try %d, and nothing had been sent", tries+1)
	gate.release()
	backup.ends(0)
	if n := len(archivesPut(proxy)); n < 2 {
		t.Errorf("%d archives were sent", n)
	}
	m.must(nil, "validate", "--read-data", "--remote", "s3://"+bucket+"/app")
}

// Without room, the capture waits; what lies in the spool stays within its bound; the database is pinned meanwhile, and the snapshot
// is right, at the remote alone. The next backup is none the worse.
func TestCaptureWaitsForRoom(t *testing.T) {
	proxy := miniotest.Start(t).Proxy(t)
	bucket := proxy.Bucket(t)
	remote := "s3://" + bucket + "/app"
	m := newMachine(t, proxy.Server)
	path := filepath.Join(m.home, "app.db")
	db := liveDatabase(t, path, 40)
	gate := newGate(t, proxy)
	const bound = 16 << 20
	backup := m.start("backup", path, "--remote", remote, "--progress", "none", "--json", "--spool-max", "16MiB", "-v")
	backup.says("the spool is full: the capture waits until something was sent")
	if truncated(t, db) {
		t.Error("the log can be reset while the capture waits: the database is not pinned")
	}
	most := m.spooled()
	gate.release()
	backup.while(func() {
		most = max(most, m.spooled())
		execute(t, db, "INSERT INTO t(body) VALUES('y')")
	})
	backup.ends(0)
	if most == 0 || most > bound {
		t.Errorf("%d bytes were in a spool of %d", most, bound)
	}
	t.Logf("at most %d bytes of archives lay in a spool of %d", most, bound)
	if !truncated(t, db) {
		t.Error("the log cannot be reset after the capture")
	}
	var report struct {
		Places   []struct{ Name string }
		NotLocal string `json:"not_local"`
	}
	if err := json.Unmarshal([]byte(backup.out.String()), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Places) != 1 || report.Places[0].Name == "local" || report.NotLocal == "" {
		t.Errorf("the report says %+v", report)
	}
	if n := m.spooled(); n != 0 {
		t.Errorf("%d bytes are left in the spool", n)
	}
	var list struct{ Snapshots []struct{ Places []string } }
	m.must(&list, "list", "--remote", remote)
	if len(list.Snapshots) != 1 || len(list.Snapshots[0].Places) != 1 {
		t.Errorf("listed: %+v", list)
	}
	m.must(nil, "validate", "--read-data", "--remote", remote)
	m.must(nil, "restore", "latest", "--remote", remote, "--target", filepath.Join(m.home, "restored"))
	// The next one leans on what only the bucket has. A full one that has room is whole here again.
	for _, next := range []struct {
		flag   string
		places int
	}{{"--rehash", 1}, {"--full", 2}} {
		m.must(nil, "backup", path, "--remote", remote, next.flag)
		m.must(&list, "list", "--remote", remote)
		if n := len(list.Snapshots); n < 2 || len(list.Snapshots[n-1].Places) != next.places {
			t.Errorf("after %s, listed: %+v; want the newest at %d places", next.flag, list, next.places)
		}
	}
}

// When a limit is passed, the pin is dropped: the run fails, the application has noticed nothing and can reset its log, and the next
// run sends no archive again.
func TestPinLimits(t *testing.T) {
	for _, tt := range []struct{ name, flag, value string }{
		{"max_wal_growth", "--max-wal-growth", "2MiB"},
		{"max_pin", "--max-pin", "3s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxy := miniotest.Start(t).Proxy(t)
			bucket := proxy.Bucket(t)
			remote := "s3://" + bucket + "/app"
			m := newMachine(t, proxy.Server)
			path, still := filepath.Join(m.home, "live.db"), filepath.Join(m.home, "files")
			if err := os.Mkdir(still, 0o700); err != nil {
				t.Fatal(err)
			}
			noise(t, filepath.Join(still, "noise"), 24)
			db := liveDatabase(t, path, 24)
			gate := newGate(t, proxy)
			let := make(chan struct{}, 3) // these go through
			for range cap(let) {
				let <- struct{}{}
			}
			proxy.Inject(func(_ int, r *http.Request) miniotest.Action {
				if isArchiveRequest(r, http.MethodPut) {
					select {
					case <-let:
					case <-gate.open:
					case <-r.Context().Done():
					}
				}
				return miniotest.Action{}
			})
			args := []string{"backup", "live=" + path, "files=" + still, "--remote", remote, "--progress", "none", "--spool-max", "16MiB"}
			backup := m.start(append(args, tt.flag, tt.value)...)
			backup.says("the spool is full")
			backup.while(func() {
				if tt.name == "max_wal_growth" {
					execute(t, db, "INSERT INTO t(body) VALUES(randomblob(65536))")
				}
			})
			backup.ends(15)
			for _, want := range []string{path, tt.name, "--only"} {
				if !strings.Contains(backup.err.String(), want) {
					t.Errorf("it does not name %s:\n%s", want, &backup.err)
				}
			}
			if !truncated(t, db) {
				t.Error("the log cannot be reset: somebody still has the database pinned")
			}
			if n := m.spooled(); n != 0 {
				t.Errorf("%d bytes are left in the spool", n)
			}
			var list struct{ Snapshots []struct{ Places []string } }
			m.must(&list, "list", "--remote", remote)
			if len(list.Snapshots) != 0 {
				t.Errorf("listed: %+v", list)
			}
			gate.release()
			sent := len(archivesPut(proxy))
			m.must(nil, args...)
			all := archivesPut(proxy)
			for path, n := range all {
				if n > 1 {
					t.Errorf("%s was sent %d times", path, n)
				}
			}
			if sent == 0 || len(all) <= sent {
				t.Errorf("%d archives were sent before, and %d in all", sent, len(all))
			}
			t.Logf("%d archives sent before the limit, %d in all, none twice", sent, len(all))
			m.must(nil, "validate", "--read-data", "--remote", remote)
		})
	}
}

// forbid makes every request that refuse reports fail, until the proxy is told otherwise.
func forbid(proxy *miniotest.Proxy, refuse func(r *http.Request) bool) {
	proxy.Inject(func(_ int, r *http.Request) miniotest.Action {
		if refuse(r) {
			return miniotest.Action{Fail: miniotest.Before, Status: http.StatusForbidden, Code: "AccessDenied"}
		}
		return miniotest.Action{}
	})
}

func (m *machine) owed() int {
	entries, err := os.ReadDir(filepath.Join(m.home, "lifeboat", "owed", "manifests"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.t.Fatal(err)
	}
	return len(entries)
}

// A remote fails while a snapshot that has no room is sent to two. The other one has it whole, and gives it to the first when that is
// back: nothing lists the snapshot where it is not whole.
func TestRemoteFailsWithoutRoom(t *testing.T) {
	proxy := miniotest.Start(t).Proxy(t)
	bucket := proxy.Bucket(t)
	a, b := "s3://"+bucket+"/a", "s3://"+bucket+"/b"
	m := newMachine(t, proxy.Server)
	app := filepath.Join(m.home, "app")
	if err := os.Mkdir(app, 0o700); err != nil {
		t.Fatal(err)
	}
	noise(t, filepath.Join(app, "noise"), 40)
	let := make(chan struct{}, 3)
	for range cap(let) {
		let <- struct{}{}
	}
	forbid(proxy, func(r *http.Request) bool {
		if !isArchiveRequest(r, http.MethodPut) || !strings.HasPrefix(r.URL.Path, "/"+bucket+"/b/") {
			return false
		}
		select {
		case <-let:
			return false
		default:
			return true
		}
	})
	both := []string{"--remote", a, "--remote", b, "--app", "app"}
	out, errs, code := m.run(append([]string{"backup", app, "--spool-max", "16MiB"}, both...)...)
	if code != 14 {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	places := func() string {
		var list struct{ Snapshots []struct{ Places []string } }
		m.must(&list, append([]string{"list"}, both...)...)
		if len(list.Snapshots) != 1 {
			t.Fatalf("listed: %+v", list)
		}
		return strings.Join(list.Snapshots[0].Places, " ")
	}
	if got := places(); got != bucket {
		t.Errorf("listed at %s", got)
	}
	if m.owed() != 1 {
		t.Errorf("%d snapshots are owed", m.owed())
	}
	m.must(nil, "validate", "--read-data", "--remote", a, "--app", "app")
	proxy.Inject(nil)
	m.must(nil, append([]string{"push"}, both...)...)
	if got := places(); got != bucket+" "+bucket+"-2" {
		t.Errorf("after a push, listed at %s", got)
	}
	m.must(nil, "validate", "--read-data", "--remote", b, "--app", "app")
	if m.owed() != 0 || m.spooled() != 0 {
		t.Errorf("%d snapshots are owed, and %d bytes are in the spool", m.owed(), m.spooled())
	}
}

// When the manifest does not get through, a snapshot that had no room is whole nowhere: it is listed nowhere, and a push completes it.
func TestManifestFailsWithoutRoom(t *testing.T) {
	proxy := miniotest.Start(t).Proxy(t)
	bucket := proxy.Bucket(t)
	remote := "s3://" + bucket + "/app"
	m := newMachine(t, proxy.Server)
	app := filepath.Join(m.home, "app")
	if err := os.Mkdir(app, 0o700); err != nil {
		t.Fatal(err)
	}
	noise(t, filepath.Join(app, "noise"), 40)
	forbid(proxy, func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/")
	})
	out, errs, code := m.run("backup", app, "--remote", remote, "--spool-max", "16MiB")
	if code != 14 || !strings.Contains(errs, "lifeboat push completes it") {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	var list struct{ Snapshots []struct{ Places []string } }
	m.must(&list, "list", "--remote", remote)
	if len(list.Snapshots) != 0 {
		t.Errorf("listed: %+v", list)
	}
	proxy.Inject(nil)
	before := archivesPut(proxy)
	m.must(nil, "push", "--remote", remote)
	for path, n := range archivesPut(proxy) {
		if n != before[path] {
			t.Errorf("%s was sent again", path)
		}
	}
	m.must(nil, "validate", "--read-data", "--remote", remote)
	if m.owed() != 0 || m.spooled() != 0 {
		t.Errorf("%d snapshots are owed, and %d bytes are in the spool", m.owed(), m.spooled())
	}
}
