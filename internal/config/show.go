package config

import (
	"bytes"
	_ "embed"
	"fmt"

	"go.yaml.in/yaml/v3"
)

//go:embed example.yaml
var example string

// Example returns a configuration file to begin with, in which comments explain every key.
func Example() string { return example }

// Show returns the configuration as a file that says the same: defaults filled in, names and absolute
// paths written out. It holds no secrets, because a configuration cannot.
func (c *Config) Show() ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(c); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	return b.Bytes(), nil
}
