package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"lifeboat/internal/config"
)

const configValidateHelp = `Reads the configuration and lists everything that is wrong with it, with lines
and columns. It is looked for in ./lifeboat.yaml, then in lifeboat/ of the
user's configuration directory, then in /etc/lifeboat; the first is used.

   lifeboat config validate
   lifeboat config validate --config /etc/lifeboat/lifeboat.yaml

Exit code 64: something is wrong, or there is no configuration.`

const configShowHelp = `Prints the configuration that holds, defaults filled in and paths absolute, and
where it was read. It has no secrets in it, since a configuration cannot.

   lifeboat config show
   lifeboat config show --remote s3://bucket/app

Exit code 64: something is wrong with it.`

const configExampleHelp = `Prints a configuration in which comments explain every key.

   lifeboat config example > lifeboat.yaml

Exit code 0.`

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
