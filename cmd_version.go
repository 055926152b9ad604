package main

import (
	"github.com/urfave/cli/v2"

	"lifeboat/manifest"
)

// versionCommand says what this is.
func versionCommand(s *session, c *cli.Context) error {
	s.print("lifeboat %s, store format %s", version, manifest.Format)
	return s.document(map[string]string{"version": version, "format": manifest.Format})
}
