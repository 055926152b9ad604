package sampleapp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// Report says what Verify found.
type Report struct {
	Accounts  int64
	Transfers int64
	Messages  int64
	Total     int64 // sum of the balances, in cents
	Vectors   int64

	// RegistryTransfers is how many transfers the registry counts. While the application runs it is
	// never more than Transfers; in a copy it is more when the registry was copied at a later moment
	// than the database.
	RegistryTransfers int64
}

// Verify checks that the application in dir, live or laid down from a snapshot, is whole: that its
// databases pass integrity_check and are in their journal mode, that no money was made or lost, that
// every balance is what the transfers make of it, that the registry agrees, and that the vector files
// have the sizes that they and their database speak of. The error tells of everything that is wrong;
// what is missing is fs.ErrNotExist.
//
// It opens the databases as the application does, so what lies beside them counts, and dir must be
// writable. It changes nothing in a copy that was cleanly laid down.
func Verify(ctx context.Context, dir string) (Report, error) {
	v := &verifier{ctx: ctx, dir: dir}
	// The registry is read first: in a running application it then never counts more than the
	// database.
	v.part(RegistryName, v.registry)
	v.part(DatabaseName, v.database)
	v.part(ChromaName, v.chroma)
	if err := errors.Join(v.problems...); err != nil {
		return v.report, fmt.Errorf("the sample application in %s is not whole: %w", dir, err)
	}
	return v.report, nil
}

type verifier struct {
	ctx      context.Context
	dir      string
	report   Report
	expected *registry // nil when it could not be read
	problems []error
}

// part runs the checks of one part; an error ends them, but not those of the others.
func (v *verifier) part(name string, check func() error) {
	if err := check(); err != nil {
		v.problems = append(v.problems, fmt.Errorf("%s: %w", name, err))
	}
}

// want records a problem when two values differ.
func want[T comparable](v *verifier, what string, got, want T) {
	if got != want {
		v.problems = append(v.problems, fmt.Errorf("%s: %v, want %v", what, got, want))
	}
}

func (v *verifier) registry() error {
	r, err := readRegistry(v.dir)
	if err != nil {
		return err
	}
	v.expected = r
	v.report.RegistryTransfers = r.Transfers
	want(v, "registry: application", r.Application, "sample")
	want(v, "registry: version", r.Version, 1)
	want(v, "registry: total", r.Total, int64(Total))
	want(v, "registry: vectors", r.Vectors, int64(Vectors))
	if r.Transfers < moved {
		return fmt.Errorf("%d transfers, fewer than there were at the start", r.Transfers)
	}
	return nil
}

func (v *verifier) database() (err error) {
	s, err := v.open(filepath.Join(v.dir, DatabaseName), "wal")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()

	r := &v.report
	var counted, wrong, last int64
	for _, q := range []struct {
		dst   *int64
		query string
	}{
		{&r.Accounts, "SELECT count(*) FROM accounts"},
		{&r.Total, "SELECT coalesce(sum(balance), 0) FROM accounts"},
		{&counted, "SELECT coalesce(sum(transfers), 0) FROM accounts"},
		{&r.Transfers, "SELECT count(*) FROM transfers"},
		{&last, "SELECT coalesce(max(id), 0) FROM transfers"},
		{&r.Messages, "SELECT count(*) FROM messages"},
		{&wrong, `SELECT count(*) FROM accounts LEFT JOIN (
				SELECT account, sum(change) AS change, count(*) AS n FROM (
					SELECT source AS account, -amount AS change FROM transfers
					UNION ALL SELECT target, amount FROM transfers)
				GROUP BY account) AS moves ON moves.account = accounts.id
			WHERE balance != opening + coalesce(change, 0) OR transfers != coalesce(n, 0)`},
	} {
		if err := s.QueryRowContext(v.ctx, q.query).Scan(q.dst); err != nil {
			return err
		}
	}
	want(v, "accounts", r.Accounts, int64(Accounts))
	want(v, "sum of the balances", r.Total, int64(Total))
	want(v, "transfers that the accounts count, halved", counted/2, r.Transfers)
	want(v, "number of the last transfer", last, r.Transfers)
	want(v, "accounts that are not what the transfers make of them", wrong, 0)
	if r.Transfers < moved || r.Messages < messages {
		return fmt.Errorf("%d transfers and %d messages, fewer than there were at the start", r.Transfers, r.Messages)
	}
	if v.expected == nil {
		return nil
	}
	owners, err := texts(v.ctx, s, "SELECT owner FROM accounts ORDER BY id")
	if err != nil {
		return err
	}
	if !slices.Equal(owners, v.expected.Owners) {
		return errors.New("the owners of the accounts are not those of the registry")
	}
	return nil
}

// open opens a database and begins a transaction, in which everything that is checked is of one moment.
// The transaction ends with the session.
func (v *verifier) open(path, journalMode string) (*session, error) {
	s, err := connect(v.ctx, path, false)
	if err != nil {
		return nil, err
	}
	if err := v.check(s, filepath.Base(path), journalMode); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (v *verifier) check(s *session, name, journalMode string) error {
	mode, err := texts(v.ctx, s, "PRAGMA journal_mode")
	if err != nil {
		return err
	}
	want(v, name+": journal mode", fmt.Sprint(mode), fmt.Sprint([]string{journalMode}))
	if err := s.exec(v.ctx, "BEGIN"); err != nil {
		return err
	}
	verdict, err := texts(v.ctx, s, "PRAGMA integrity_check(20)")
	if err != nil {
		return err
	}
	want(v, name+": integrity_check", fmt.Sprint(verdict), "[ok]")
	orphans, err := texts(v.ctx, s, `SELECT "table" FROM pragma_foreign_key_check`)
	if err != nil {
		return err
	}
	want(v, name+": rows without what they refer to", len(orphans), 0)
	return nil
}

// texts returns the first column of a query's result.
func texts(ctx context.Context, s *session, query string) ([]string, error) {
	rows, err := s.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var text sql.NullString
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		out = append(out, text.String)
	}
	return out, rows.Err()
}
