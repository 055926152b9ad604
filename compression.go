package main

import (
	"github.com/urfave/cli/v2"

	"lifeboat/internal/config"
	"lifeboat/internal/zst"
)

// compressionFlag is one of the commands that make archives.
func compressionFlag() cli.Flag {
	return &cli.StringFlag{Name: "compression", Usage: "compress as `HOW`: fastest, default, better or off (default: fastest)", EnvVars: []string{"LIFEBOAT_COMPRESSION"}}
}

// compression returns how hard archives are to be compressed. A command without the flag goes by the configuration.
func (s *session) compression(cfg *config.Config) (zst.Level, error) {
	how := cfg.Compression
	if err := override(s, "compression", config.ParseCompression, &how); err != nil {
		return 0, err
	}
	return map[config.Compression]zst.Level{
		config.CompressFastest: zst.Fastest, config.CompressDefault: zst.Default, config.CompressBetter: zst.Better, config.CompressOff: zst.Off,
	}[how], nil
}
