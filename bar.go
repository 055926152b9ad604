package main

import (
	"fmt"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"

	"lifeboat/internal/progress"
)

const (
	barEvery   = 100 * time.Millisecond
	plainFirst = 15 * time.Second // after which each line waits twice as long as the one before, so that an hour takes no page of a log
	plainMost  = 10 * time.Minute
)

// progressMode is how progress is shown: bar, plain or none.
func (u *ui) progressMode() string {
	switch {
	case u.quiet:
		return "none"
	case u.progress != "auto":
		return u.progress
	case u.terminal:
		return "bar"
	}
	return "plain"
}

func (u *ui) showsProgress() bool { return u.progressMode() != "none" }

// watch shows a meter until the returned function is called, which may be called again: as a bar on a terminal, as a line now and
// then elsewhere.
func (u *ui) watch(m *progress.Meter) (stop func()) {
	show, finish := func() { u.plain(m.Read()) }, func() {}
	every, most := plainFirst, plainMost
	switch u.progressMode() {
	case "none":
		return func() {}
	case "bar":
		b := &bar{u: u, m: m}
		show, finish = b.show, b.finish
		every, most = barEvery, barEvery
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		defer finish()
		tick := time.NewTimer(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				show()
				every = min(2*every, most)
				tick.Reset(every)
			case <-done:
				return
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(done)
		<-stopped
	})
}

// plain writes one line about where the operation stands.
func (u *ui) plain(r progress.Reading) {
	switch {
	case r.Phase == "":
	case r.Total > 0:
		u.note("%s: %s of %s (%d %%), %s", describePhase(r), size(r.Done), size(r.Total), min(100, 100*r.Done/r.Total), count(r.Files, "file"))
	default:
		u.note("%s: %s, %s", describePhase(r), size(r.Done), count(r.Files, "file"))
	}
}

func describePhase(r progress.Reading) string {
	if r.Waiting != "" {
		return r.Phase + ", waiting for " + r.Waiting
	}
	return r.Phase
}

// A bar draws a meter on a terminal, one bar for each phase. Where there is no room for one, it is a percentage.
type bar struct {
	u      *ui
	m      *progress.Meter
	phase  string
	drawn  *progressbar.ProgressBar
	narrow bool // what is drawn is a percentage
}

const (
	besideBar = 58          // columns for what stands around the phase, and for a bar that is worth it
	clearLine = "\r\x1b[2K" // goes to the first column and empties the line
)

func (b *bar) show() {
	b.u.mu.Lock()
	defer b.u.mu.Unlock()
	b.u.bar = b
	r := b.m.Read()
	if r.Phase == "" {
		return
	}
	if n := b.u.width(b.u.err); n > 0 && n < besideBar+utf8.RuneCountInString(describePhase(r)) {
		b.clear()
		b.drawn, b.narrow = nil, true
		fmt.Fprint(b.u.err, clearLine+cutTo(narrowLine(r), n-1))
		return
	}
	if phase := describePhase(r); b.drawn == nil || phase != b.phase {
		b.clear()
		b.phase = phase
		b.drawn = newBar(b.u, r)
		b.drawn.StartWithoutRender() // the speed counts from now, so what is done by now is not shown
		return
	}
	if r.Total > 0 {
		if b.drawn.GetMax64() != r.Total {
			b.drawn.ChangeMax64(r.Total)
		}
		r.Done = min(r.Done, r.Total) // the total may be an estimate
	}
	b.drawn.Set64(r.Done)
}

func newBar(u *ui, r progress.Reading) *progressbar.ProgressBar {
	total := r.Total
	if total == 0 {
		total = -1
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(u.err),
		progressbar.OptionSetDescription(describePhase(r)),
		progressbar.OptionShowBytes(true),
		progressbar.OptionShowCount(),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionShowTotalBytes(true),
		progressbar.OptionFullWidth(),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetPredictTime(true),
	)
}

// clear takes the bar off the screen until it is shown again.
func (b *bar) clear() {
	if b.narrow {
		fmt.Fprint(b.u.err, clearLine)
		b.narrow = false
	}
	if b.drawn != nil {
		b.drawn.Clear()
	}
}

func narrowLine(r progress.Reading) string {
	if r.Total > 0 {
		return fmt.Sprintf("%s %d %%, %s", describePhase(r), min(100, 100*r.Done/r.Total), size(r.Done))
	}
	return fmt.Sprintf("%s %s", describePhase(r), size(r.Done))
}

// cutTo shortens a text to a number of columns.
func cutTo(text string, columns int) string {
	if r := []rune(text); len(r) > columns {
		return string(r[:max(0, columns-1)]) + "…"
	}
	return text
}

func (b *bar) finish() {
	b.u.mu.Lock()
	defer b.u.mu.Unlock()
	b.clear()
	b.u.bar = nil
}
