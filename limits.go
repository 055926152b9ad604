package main

import (
	"golang.org/x/time/rate"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/config"
	"lifeboat/remote"
)

// The flags that say how much of the network and the machine a command may take, each where it means something.
func uploadFlag() cli.Flag {
	return &cli.StringFlag{Name: "limit-upload", Usage: "send at most `RATE` bytes per second, such as 2MiB or 500K, to all S3 remotes together", EnvVars: []string{"LIFEBOAT_LIMIT_UPLOAD"}}
}

func downloadFlag() cli.Flag {
	return &cli.StringFlag{Name: "limit-download", Usage: "fetch at most `RATE` bytes per second from all S3 remotes together", EnvVars: []string{"LIFEBOAT_LIMIT_DOWNLOAD"}}
}

func concurrencyFlag(normal string) cli.Flag {
	return &cli.StringFlag{Name: "concurrency", Usage: "`N` archives on their way at once (default: " + normal + ")", EnvVars: []string{"LIFEBOAT_CONCURRENCY"}}
}

// sendFlags are those of commands that send. They fetch too, what one remote lacks and another has.
func sendFlags() []cli.Flag { return []cli.Flag{uploadFlag(), downloadFlag(), concurrencyFlag("3")} }

// limits are what one run keeps to.
type limits struct {
	config.Limits
	retryFor config.Duration
	workers  int            // that encode or decode at once
	up, down remote.Limiter // shared by all remotes; nil: as fast as it goes
}

// limit puts what the command line says in the place of what the configuration says. The limiters of a run are made once: whatever
// moves in one direction shares one.
func (s *session) limit(cfg *config.Config) error {
	if s.limits != nil {
		return nil
	}
	l := &limits{Limits: cfg.Limits}
	err := override(s, "limit-upload", config.ParseRate, &l.Upload)
	if err == nil {
		err = override(s, "limit-download", config.ParseRate, &l.Download)
	}
	if err == nil {
		err = override(s, "concurrency", config.ParseConcurrency, &l.Concurrency)
	}
	if err == nil {
		err = override(s, "max-memory", config.ParseSize, &l.Memory)
	}
	if err == nil {
		err = l.bound()
	}
	if err == nil {
		err = override(s, "retry-for", config.ParseDuration, &l.retryFor)
	}
	if err != nil {
		return err
	}
	l.up, l.down = limiter(l.Upload), limiter(l.Download)
	s.limits = l
	return nil
}

// override reads the value of a flag, if there is one.
func override[T any](s *session, flag string, parse func(string) (T, error), dst *T) error {
	text := s.c.String(flag)
	if text == "" {
		return nil
	}
	v, err := parse(text)
	if err != nil {
		return usagef("", "--%s %w", flag, err)
	}
	*dst = v
	return nil
}

// smooth is into how many pieces the bytes of a second are cut, so that they flow and do not come in gushes.
const smooth = 8

func limiter(r config.Rate) remote.Limiter {
	if r == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(r), int(min(max(r/smooth, 1), 1<<20)))
}
