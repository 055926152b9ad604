package sqlitedb_test

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"modernc.org/sqlite"
)

// The tests use real processes: the test binary runs itself in one of these roles. A process that captures
// and one that writes must not be the same, for some locks belong to the process.
const roleVariable = "SQLITEDB_TEST_ROLE"

func TestMain(m *testing.M) {
	roles := map[string]func([]string) error{"app": runApp, "teller": runTeller, "pacer": runPacer, "capture": runCapture}
	if role := os.Getenv(roleVariable); role != "" {
		if err := roles[role](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// command prepares a process in a role.
func command(t testing.TB, role string, args ...string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "GORACE=atexit_sleep_ms=0") // no second of waiting at its end
	cmd.Stderr = os.Stderr
	return cmd
}

// uri names a database for the test's own connections.
func uri(path, query string) string {
	return "file://" + strings.ReplaceAll(url.PathEscape(path), "%2F", "/") + "?" + query
}

// An app is a process with one connection to one database, which does what the test tells it to.
type app struct {
	t    testing.TB
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *json.Decoder
	done bool
}

type answer struct {
	Rows [][]string
	Err  string
}

// start starts an app and makes it run statements. It is killed when the test ends.
func start(t testing.TB, path string, statements ...string) *app {
	t.Helper()
	cmd := command(t, "app", uri(path, "_busy_timeout=10000"))
	in, out := startPiped(t, cmd)
	a := &app{t: t, cmd: cmd, in: in, out: json.NewDecoder(out)}
	t.Cleanup(a.kill)
	for _, s := range statements {
		a.do(s)
	}
	return a
}

// startPiped starts a program and returns its standard input and output.
func startPiped(t testing.TB, cmd *exec.Cmd) (in io.WriteCloser, out io.Reader) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err == nil {
		out, err = cmd.StdoutPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return in, out
}

// try runs a statement and returns its rows.
func (a *app) try(statement string) ([][]string, error) {
	a.t.Helper()
	if err := json.NewEncoder(a.in).Encode(statement); err != nil {
		a.t.Fatal(err)
	}
	var got answer
	if err := a.out.Decode(&got); err != nil {
		a.t.Fatalf("app: %s: %v", statement, err)
	}
	if got.Err != "" {
		return nil, fmt.Errorf("%s: %s", statement, got.Err)
	}
	return got.Rows, nil
}

// do is try for what must succeed.
func (a *app) do(statement string) string {
	a.t.Helper()
	rows, err := a.try(statement)
	if err != nil {
		a.t.Fatal(err)
	}
	return lines(rows)
}

// close makes the app close its connection and end.
func (a *app) close() {
	a.t.Helper()
	if a.done {
		return
	}
	a.done = true
	a.in.Close()
	if err := a.cmd.Wait(); err != nil {
		a.t.Errorf("app: %v", err)
	}
}

// kill ends the app where it stands, as a power cut would.
func (a *app) kill() {
	if a.done {
		return
	}
	a.done = true
	a.cmd.Process.Kill()
	a.cmd.Wait()
}

func runApp(args []string) error {
	db, err := sql.Open("sqlite", args[0])
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	in, out := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	for {
		var statement string
		if err := in.Decode(&statement); err == io.EOF {
			return db.Close()
		} else if err != nil {
			return err
		}
		var a answer
		if a.Rows, err = query(db, statement); err != nil {
			a.Err = err.Error()
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
}

func query(db *sql.DB, statement string) (all [][]string, err error) {
	rows, err := db.Query(statement)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		row, to := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range row {
			to[i] = &row[i]
		}
		if err := rows.Scan(to...); err != nil {
			return nil, err
		}
		text := make([]string, len(row))
		for i, v := range row {
			text[i] = v.String
		}
		all = append(all, text)
	}
	return all, rows.Err()
}

// build makes a database out of statements, with nothing beside it, and returns its path.
func build(t testing.TB, statements ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app.db")
	visit(t, path, statements...)
	return path
}

// inspect asks an image a question. The image is not changed.
func inspect(t testing.TB, path, question string) string {
	t.Helper()
	return ask(t, path, "mode=ro&immutable=1", question)
}

// ask opens a database, runs statements, closes it, and returns the rows of the last of them.
func ask(t testing.TB, path, options string, statements ...string) (answer string) {
	t.Helper()
	if _, err := sqlite.OFDLocking(true); err != nil && err != sqlite.ErrOFDLockingUnavailable {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", uri(path, options))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, s := range statements {
		rows, err := query(db, s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		answer = lines(rows)
	}
	return answer
}

// visit is an application in the test's own process, which comes, runs statements, and has gone.
func visit(t testing.TB, path string, statements ...string) { ask(t, path, "mode=rwc", statements...) }

// lines joins rows by | and newlines.
func lines(rows [][]string) string {
	all := make([]string, len(rows))
	for i, row := range rows {
		all[i] = strings.Join(row, "|")
	}
	return strings.Join(all, "\n")
}
