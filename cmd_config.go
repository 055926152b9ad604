package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/config"
)

// configCommand is config without a subcommand.
func configCommand(s *session, c *cli.Context) error {
	s.print("%s", commandHelp([]string{c.Command.Name}, c.Command))
	return nil
}

// configValidate says whether the configuration is right.
func configValidate(s *session, c *cli.Context) error {
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	if cfg.File == "" {
		return usagef("lifeboat config example > lifeboat.yaml", "there is no configuration file")
	}
	s.say("%s: ok, %s, %s", cfg.File, count(int64(len(cfg.Sources)), "source"), count(int64(len(cfg.Remotes)), "remote"))
	return s.document(map[string]any{"file": cfg.File, "valid": true})
}

// configShow prints the configuration that holds, defaults filled in.
func configShow(s *session, c *cli.Context) error {
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	text, err := cfg.Show()
	if err != nil {
		return err
	}
	if cfg.File != "" {
		s.note("# %s", cfg.File)
	}
	s.print("%s", strings.TrimRight(string(text), "\n"))
	return s.document(cfg)
}

// configExample prints a configuration to start from.
func configExample(s *session, c *cli.Context) error {
	s.print("%s", strings.TrimRight(config.Example(), "\n"))
	return s.document(map[string]string{"example": config.Example()})
}
