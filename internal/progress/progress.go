// Package progress counts what a long operation has done, so that somebody else can show it. The operation writes to a
// [Meter]; whoever shows it reads the meter as often as it likes. Neither waits for the other.
package progress

import "sync/atomic"

// A Meter holds the figures of one operation. A nil *Meter counts nothing. All methods may be called
// from several goroutines.
type Meter struct {
	phase       atomic.Pointer[string]
	total, done atomic.Int64 // bytes
	files       atomic.Int64
	waiting     atomic.Pointer[string]
}

// Begin starts a phase: "capture", "send". total is how many bytes it is expected to handle; 0 if nobody knows.
func (m *Meter) Begin(phase string, total int64) {
	if m == nil {
		return
	}
	m.done.Store(0)
	m.files.Store(0)
	m.total.Store(total)
	m.phase.Store(&phase)
}

// Expect adds to the total of the phase.
func (m *Meter) Expect(bytes int64) {
	if m != nil {
		m.total.Add(bytes)
	}
}

// Add counts bytes that are done.
func (m *Meter) Add(bytes int64) {
	if m != nil {
		m.done.Add(bytes)
	}
}

// File counts a file that is done.
func (m *Meter) File() {
	if m != nil {
		m.files.Add(1)
	}
}

// Wait says what the operation is waiting for; "" that it goes on.
func (m *Meter) Wait(what string) {
	if m != nil {
		m.waiting.Store(&what)
	}
}

// A Reading is what a meter shows at one moment.
type Reading struct {
	Phase       string // "" before the first Begin
	Total, Done int64  // bytes; Total is 0 when nobody knows
	Files       int64
	Waiting     string // for what; "" when it is not
}

// Read returns the figures.
func (m *Meter) Read() Reading {
	if m == nil {
		return Reading{}
	}
	r := Reading{Total: m.total.Load(), Done: m.done.Load(), Files: m.files.Load()}
	if p := m.phase.Load(); p != nil {
		r.Phase = *p
	}
	if p := m.waiting.Load(); p != nil {
		r.Waiting = *p
	}
	return r
}
