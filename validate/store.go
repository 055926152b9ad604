package validate

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"lifeboat/drill"
	"lifeboat/internal/layout"
	"lifeboat/manifest"
)

// What is wrong with a store, and not with a snapshot.
const (
	MarkerMissing Code = "marker_missing"
	MarkerDamaged Code = "marker_damaged" // it is no marker
	MarkerFormat  Code = "marker_format"  // it says that the store is of another format
	MarkerForeign Code = "marker_foreign" // it is that of another application or another store
	KitMissing    Code = "recovery_kit_missing"
	KitForeign    Code = "recovery_kit_foreign" // it is not what lifeboat writes

	EvidenceMissing Code = "evidence_missing" // a record of a drill that another record names, or this machine has made
	EvidenceDamaged Code = "evidence_damaged"
)

// A StoreReport is what was found about a store itself.
type StoreReport struct {
	Store    string    `json:"store"`
	OK       bool      `json:"ok"`
	Findings []Finding `json:"findings"`
}

// StoreOptions say what a store should be.
type StoreOptions struct {
	App string        // of the marker; "" when nothing names it
	ID  string        // of the marker, where this machine has used the store before; else ""
	Kit []layout.File // the recovery kit

	Evidence string // name of the record of the last drill that this machine has made of the store; "" when there was none
	// Released reports whether a file is that of an earlier release of lifeboat, which is as good.
	Released func(name string, sum manifest.Hash) bool
}

// CheckStore compares the marker, the recovery kit and the evidence of drills of a store with what they should be. What is in the kit is shown to nobody and never run.
//
// The marker carries no digest. A byte of it that is flipped is found when the marker is then no marker, or when it names another application, or
// an ID that this machine knows to be another; not in the time of its creation, nor in an ID that nobody remembers. Nothing is decided by either.
func CheckStore(ctx context.Context, store layout.Store, opts StoreOptions) (*StoreReport, error) {
	r := &StoreReport{Store: store.String(), Findings: []Finding{}}
	marker, err := checkMarker(ctx, store, opts)
	if err != nil {
		return nil, err
	}
	kit, err := checkKit(ctx, store, opts)
	if err != nil {
		return nil, err
	}
	evidence, err := checkEvidence(ctx, store, opts.Evidence)
	if err != nil {
		return nil, err
	}
	r.Findings = append(append(append(r.Findings, marker...), kit...), evidence...)
	r.OK = len(r.Findings) == 0
	return r, nil
}

func checkMarker(ctx context.Context, store layout.Store, opts StoreOptions) ([]Finding, error) {
	wrong := func(code Code, format string, args ...any) ([]Finding, error) {
		return []Finding{{Code: code, Object: layout.MarkerKey, Detail: fmt.Sprintf(format, args...)}}, nil
	}
	m, err := store.Marker(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, fs.ErrNotExist):
		return wrong(MarkerMissing, "it is not in the store; snapshots can be read without it, but the next backup takes this for another store")
	case errors.Is(err, manifest.ErrInvalid):
		return wrong(MarkerDamaged, "%v", err)
	case errors.As(err, new(*manifest.FormatError)):
		return wrong(MarkerFormat, "%v", err)
	case err != nil:
		return nil, err
	case opts.App != "" && m.App != opts.App:
		return wrong(MarkerForeign, "it says that this is the store of %q, and not of %q", m.App, opts.App)
	case opts.ID != "" && m.ID != opts.ID:
		return wrong(MarkerForeign, "its id is %s; at the last backup from here it was %s", m.ID, opts.ID)
	}
	return nil, nil
}

// checkEvidence looks whether the records of drills are all there, and what their writers made of them.
func checkEvidence(ctx context.Context, store layout.Store, last string) (found []Finding, err error) {
	breaks, err := drill.CheckChain(ctx, store, last)
	if err != nil {
		return nil, err
	}
	for _, b := range breaks {
		code := EvidenceDamaged
		if b.Missing {
			code = EvidenceMissing
		}
		found = append(found, Finding{Code: code, Object: "drills/" + b.Name, Detail: b.Detail})
	}
	return found, nil
}

func checkKit(ctx context.Context, store layout.Store, opts StoreOptions) (found []Finding, err error) {
	const repair = "lifeboat recovery-kit --stores puts the right one there"
	for _, f := range opts.Kit {
		data, err := store.ReadSmall(ctx, f.Name, maxKitFile)
		wrong := Finding{Code: KitForeign, Object: f.Name}
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, fs.ErrNotExist):
			wrong.Code, wrong.Detail = KitMissing, "it is not in the store; "+repair
		case errors.Is(err, manifest.ErrInvalid):
			wrong.Detail = err.Error()
		case err != nil:
			return nil, err
		case bytes.Equal(data, f.Data), opts.Released != nil && opts.Released(f.Name, manifest.HashOf(data)):
			continue
		default:
			sum := manifest.HashOf(data)
			wrong.Place = difference(data, f.Data)
			wrong.Detail = fmt.Sprintf("it is neither the copy in this lifeboat nor that of an earlier release: damaged, changed by somebody, or of a newer release; "+
				"do not run it (its SHA-256 begins with %s); %s", hex.EncodeToString(sum[:6]), repair)
		}
		found = append(found, wrong)
	}
	return found, nil
}

// maxKitFile bounds what is read of a file of the kit, in bytes.
const maxKitFile = 1 << 20

// difference says where two texts begin to differ.
func difference(a, b []byte) string {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return fmt.Sprintf("line %d, byte %d", 1+bytes.Count(a[:n], []byte{'\n'}), n)
}
