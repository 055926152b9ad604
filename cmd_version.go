package main

import (
	"github.com/urfave/cli/v2"

	"lifeboat/manifest"
)

const versionHelp = `Says which lifeboat this is, and which format of stores it writes and reads.

   lifeboat version
   lifeboat version --json

Exit code 0.`

// versionCommand says what this is.
func versionCommand(s *session, c *cli.Context) error {
	s.print("lifeboat %s, store format %s", version, manifest.Format)
	return s.document(map[string]string{"version": version, "format": manifest.Format})
}
