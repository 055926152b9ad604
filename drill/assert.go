package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"lifeboat/internal/config"
	"lifeboat/internal/hook"
	"lifeboat/internal/layout"
	"lifeboat/internal/sqlitedb"
	"lifeboat/manifest"
)

const (
	queryTime   = time.Minute     // of a query, unless it says otherwise
	programTime = 5 * time.Minute // likewise of a program
	maxJSON     = 64 << 20        // bytes of a file that is parsed
)

// A view is what assertions look at.
type view interface {
	// stat returns what is at a path of the snapshot; that there is nothing is fs.ErrNotExist.
	stat(path string) (entry, error)
	// read returns the content of a file, which has at most maxJSON bytes.
	read(path string) ([]byte, error)
	// disk returns where a path, or with "" the whole snapshot, lies on a disk. It is "" where nothing was laid down. Until done is called, this
	// process may read and write it.
	disk(path string) (where string, done func() error, err error)
}

// An entry is what is at a path.
type entry struct {
	regular bool
	what    string // if it is not
	size    int64
	sha256  func() (manifest.Hash, error)
}

// errNoTree means that an assertion needs files on a disk.
var errNoTree = errors.New("it needs what was restored on a disk, and --no-scratch lays nothing down")

// assert goes through the assertions. An error means that one could not be looked at.
func (d *drill) assert(v view) error {
	if len(d.opts.Assert) == 0 {
		return nil
	}
	d.opts.Meter.Begin("assert", 0)
	d.sinceLap()
	for i := range d.opts.Assert {
		a := &d.opts.Assert[i]
		why, err := d.holds(a, v)
		switch {
		case d.ctx.Err() != nil:
			return context.Cause(d.ctx)
		case errors.Is(err, errNoTree):
			d.skip(a.Kind(), a.Title(), err.Error())
		case err != nil && layout.AboutData(err):
			d.fail(a.Kind(), a.Title(), "%v", err)
		case err != nil:
			return fmt.Errorf("assertion %q: %w", a.Title(), err)
		case why != "":
			d.fail(a.Kind(), a.Title(), "%s", why)
		default:
			d.r.Checks.Assertions++
		}
	}
	d.phase("assert", d.sinceLap(), 0)
	return nil
}

// holds returns why an assertion does not hold, or "".
func (d *drill) holds(a *config.Assertion, v view) (why string, err error) {
	switch a.Kind() {
	case "sql":
		return d.query(a, v)
	case "json":
		return d.pointer(a, v)
	case "file":
		return d.file(a, v)
	}
	return d.program(a, v)
}

// regular returns why there is no file at a path, or "".
func regular(v view, path string) (e entry, why string, err error) {
	e, err = v.stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return e, "there is no " + path, nil
	case err != nil:
		return e, "", err
	case !e.regular:
		return e, path + " is " + e.what, nil
	}
	return e, "", nil
}

// query runs the query of an assertion.
func (d *drill) query(a *config.Assertion, v view) (why string, err error) {
	if _, why, err := regular(v, a.In); why != "" || err != nil {
		return why, err
	}
	path, done, err := v.disk(a.In)
	if err != nil {
		return "", err
	}
	if path == "" {
		return "", errNoTree
	}
	ctx, cancel, limit := d.limit(a, queryTime)
	defer cancel()
	got, err := sqlitedb.QueryValue(ctx, path, a.SQL)
	if err := done(); err != nil {
		return "", err
	}
	if ctx.Err() != nil {
		return fmt.Sprintf("it did not come to an end within %s", limit), d.ctx.Err()
	}
	if err != nil { // whatever it is: what was asked for is not so
		return err.Error(), nil
	}
	switch got := got.(type) {
	case int64:
		return a.Check(config.Value{Kind: config.Number, Text: strconv.FormatInt(got, 10)}), nil
	case float64:
		return a.Check(config.NumberOf(got)), nil
	case []byte:
		return a.Check(config.Value{Kind: config.Text, Text: string(got)}), nil
	}
	return a.Check(config.Value{Kind: config.Text, Text: fmt.Sprint(got)}), nil
}

// limit returns the context in which to look at an assertion.
func (d *drill) limit(a *config.Assertion, normal time.Duration) (context.Context, context.CancelFunc, time.Duration) {
	if a.Timeout > 0 {
		normal = time.Duration(a.Timeout)
	}
	ctx, cancel := context.WithTimeout(d.ctx, normal)
	return ctx, cancel, normal
}

// pointer looks into a JSON file.
func (d *drill) pointer(a *config.Assertion, v view) (why string, err error) {
	e, why, err := regular(v, a.In)
	if why != "" || err != nil {
		return why, err
	}
	if e.size > maxJSON {
		return fmt.Sprintf("%s has %d bytes, more than the %d that are looked into", a.In, e.size, maxJSON), nil
	}
	data, err := v.read(a.In)
	if err != nil {
		return "", err
	}
	var doc any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil || dec.More() {
		return a.In + " is not one JSON document", nil
	}
	at, ok := follow(doc, a.JSON)
	switch {
	case !ok:
		return fmt.Sprintf("there is nothing at %s in %s", a.JSON, a.In), nil
	case a.Equals == nil && a.AtLeast == nil && a.AtMost == nil:
		return "", nil
	}
	switch at := at.(type) {
	case string:
		return a.Check(config.Value{Kind: config.Text, Text: at}), nil
	case bool:
		return a.Check(config.Value{Kind: config.Truth, Text: strconv.FormatBool(at)}), nil
	case json.Number:
		if n, err := at.Int64(); err == nil {
			return a.Check(config.Value{Kind: config.Number, Text: strconv.FormatInt(n, 10)}), nil
		}
		f, err := at.Float64()
		if err != nil {
			return fmt.Sprintf("%s is a number that is too large", at), nil
		}
		return a.Check(config.NumberOf(f)), nil
	case nil:
		return "it is null", nil
	case []any:
		return fmt.Sprintf("it is a list of %d", len(at)), nil
	}
	return "it is an object", nil
}

// follow goes where a JSON pointer leads (RFC 6901).
func follow(doc any, pointer string) (any, bool) {
	for _, step := range strings.Split(pointer, "/")[1:] {
		step = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		switch at := doc.(type) {
		case map[string]any:
			next, ok := at[step]
			if !ok {
				return nil, false
			}
			doc = next
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n < 0 || n >= len(at) || strconv.Itoa(n) != step {
				return nil, false
			}
			doc = at[n]
		default:
			return nil, false
		}
	}
	return doc, true
}

// file looks whether a file is there, and what it is like.
func (d *drill) file(a *config.Assertion, v view) (why string, err error) {
	e, err := v.stat(a.File)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case err != nil && !missing:
		return "", err
	case a.Absent && missing:
		return "", nil
	case a.Absent:
		return "it is there", nil
	case missing:
		return "there is no " + a.File, nil
	case a.AtLeast == nil && a.AtMost == nil && a.SHA256 == "":
		return "", nil
	case !e.regular:
		return "it is " + e.what, nil
	}
	if why := a.Check(config.NumberOf(float64(e.size))); why != "" {
		return strings.Replace(why, "it is", "its size is", 1), nil
	}
	if a.SHA256 == "" {
		return "", nil
	}
	sum, err := e.sha256()
	if err == nil && sum.String() != a.SHA256 {
		why = fmt.Sprintf("its SHA-256 is %s, want %s", sum, a.SHA256)
	}
	return why, err
}

// program runs a program in the directory of what was restored.
func (d *drill) program(a *config.Assertion, v view) (why string, err error) {
	tree, done, err := v.disk("")
	if err != nil {
		return "", err
	}
	if tree == "" {
		return "", errNoTree
	}
	ctx, cancel, limit := d.limit(a, programTime)
	defer cancel()
	why = hook.Program(ctx, a.Exec, tree, append(d.opts.Environ,
		"LIFEBOAT_TREE="+tree, "LIFEBOAT_STAMP="+string(d.id.Stamp), "LIFEBOAT_SNAPSHOT="+d.id.String(), "LIFEBOAT_APP="+d.r.App))
	if ctx.Err() != nil {
		why = fmt.Sprintf("it did not come to an end within %s", limit)
	}
	return why, errors.Join(done(), d.ctx.Err())
}
