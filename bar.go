package main

import (
	"time"

	"github.com/schollz/progressbar/v3"

	"lifeboat/internal/progress"
)

const (
	barEvery   = 100 * time.Millisecond
	plainEvery = 5 * time.Second
)

// watch shows a meter until the returned function is called: as a bar on a terminal, as a line now and then elsewhere.
func (u *ui) watch(m *progress.Meter) (stop func()) {
	mode := u.progress
	if mode == "auto" {
		mode = "plain"
		if u.terminal {
			mode = "bar"
		}
	}
	if u.quiet || mode == "none" {
		return func() {}
	}
	show, every, finish := u.plain(m), plainEvery, func() {}
	if mode == "bar" {
		b := &bar{u: u, m: m}
		show, every, finish = b.show, barEvery, b.finish
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		defer finish()
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				show()
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-stopped
	}
}

// plain returns a function that writes one line about where the operation stands.
func (u *ui) plain(m *progress.Meter) func() {
	return func() {
		r := m.Read()
		switch {
		case r.Phase == "":
		case r.Total > 0:
			u.note("%s: %s of %s (%d %%), %s", r.Phase, size(r.Done), size(r.Total), min(100, 100*r.Done/r.Total), count(r.Files, "file"))
		default:
			u.note("%s: %s, %s", r.Phase, size(r.Done), count(r.Files, "file"))
		}
	}
}

// A bar draws a meter on a terminal, one bar for each phase.
type bar struct {
	u     *ui
	m     *progress.Meter
	phase string
	drawn *progressbar.ProgressBar
}

func (b *bar) show() {
	r := b.m.Read()
	if r.Phase == "" {
		return
	}
	if b.drawn == nil || r.Phase != b.phase {
		b.finish()
		total := r.Total
		if total == 0 {
			total = -1
		}
		b.phase = r.Phase
		b.drawn = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(b.u.err),
			progressbar.OptionSetDescription(r.Phase),
			progressbar.OptionShowBytes(true),
			progressbar.OptionUseIECUnits(true),
			progressbar.OptionShowTotalBytes(true),
			progressbar.OptionFullWidth(),
			progressbar.OptionClearOnFinish(),
			progressbar.OptionSetPredictTime(true),
		)
	}
	if r.Total > 0 && b.drawn.GetMax64() != r.Total {
		b.drawn.ChangeMax64(r.Total)
	}
	b.drawn.Set64(min(r.Done, max(r.Total, r.Done)))
}

// finish clears the bar.
func (b *bar) finish() {
	if b.drawn != nil {
		b.drawn.Clear()
		b.drawn = nil
	}
}
