package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/config"
	"lifeboat/internal/hook"
	"lifeboat/manifest"
	"lifeboat/snapshot"
)

// hooks are what the configuration wants around a capture.
type hooks struct {
	config.Hooks
	session *session
	app     string
	stamp   manifest.Stamp // "" until it is known

	unlock func() error // nil while the lock is not held
}

func (s *session) hooks(cfg *config.Config) *hooks {
	return &hooks{Hooks: cfg.Hooks, session: s, app: cfg.App}
}

// around has the commands run, and the lock held, while the sources are read.
func (h *hooks) around(ctx context.Context, app string, stamp manifest.Stamp, opts snapshot.Options) snapshot.Options {
	h.app, h.stamp = app, stamp
	if len(h.Before) > 0 || h.LockFile != "" {
		opts.Before = h.before
	}
	if len(h.After) > 0 || h.LockFile != "" {
		opts.After = func(lasting context.Context, failed error) error {
			return h.after(lasting, h.runner(ctx, "after", failed))
		}
	}
	return opts
}

func (h *hooks) before(ctx context.Context) error {
	if err := h.runner(ctx, "before", nil).Run(ctx, h.Before); err != nil || h.LockFile == "" {
		return err
	}
	unlock, err := hook.Lock(ctx, h.LockFile, time.Duration(h.Timeout))
	h.unlock = unlock
	return err
}

func (h *hooks) after(ctx context.Context, r *hook.Runner) error {
	var errs []error
	if h.unlock != nil {
		errs = append(errs, h.unlock())
		h.unlock = nil
	}
	errs = append(errs, r.RunAll(ctx, h.After))
	return errors.Join(errs...)
}

// alarm runs the commands for a backup that did not end well; err is how it ended. That one of them fails is a warning.
func (h *hooks) alarm(ctx context.Context, err error) {
	if err == nil || len(h.OnError) == 0 {
		return
	}
	if err := h.runner(ctx, "on_error", err).RunAll(context.WithoutCancel(ctx), h.OnError); err != nil {
		h.session.warn("%s", printable(err.Error()))
	}
}

// runner tells commands what happened. err is nil as long as nothing went wrong.
func (h *hooks) runner(ctx context.Context, event string, err error) *hook.Runner {
	r := &hook.Runner{Timeout: time.Duration(h.Timeout), Env: []string{"LIFEBOAT_EVENT=" + event, "LIFEBOAT_APP=" + h.app, "LIFEBOAT_STAMP=" + string(h.stamp)}}
	if h.session.verbose {
		r.Output = h.session.err
	}
	if event == "before" {
		return r
	}
	f := ending(ctx, err)
	r.Env = append(r.Env, fmt.Sprintf("LIFEBOAT_EXIT=%d", f.code), "LIFEBOAT_ERROR="+f.Error())
	return r
}

// ending is how a command ended, for those who are told of it by other means than its output: hooks and monitors. Success has code 0 and no words.
func ending(ctx context.Context, err error) *failure {
	var told reported
	switch {
	case err == nil:
		return &failure{code: codeOK, err: errors.New("")}
	case errors.As(err, &told):
		text := meaning(int(told))
		return &failure{code: int(told), kind: text, err: errors.New(text)}
	}
	return classify(ctx, err)
}

// meaning says in a few words what a backup has reported with an exit code.
func meaning(code int) string {
	switch code {
	case codeIncomplete:
		return "the snapshot is incomplete"
	case codeIntegrity:
		return "a database is corrupt"
	case codeDrill:
		return "the drill failed"
	case codeNoStore, codeRemote:
		return "a remote does not have the snapshot"
	}
	return fmt.Sprintf("exit code %d", code)
}
