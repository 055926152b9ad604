package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Hooks are commands that run around a capture, and a lock that is held meanwhile, for applications that can hold still.
type Hooks struct {
	Before   []string `yaml:"before,omitempty" json:"before,omitempty"`     // run before anything is read
	After    []string `yaml:"after,omitempty" json:"after,omitempty"`       // run when everything was read, whatever came of it
	OnError  []string `yaml:"on_error,omitempty" json:"on_error,omitempty"` // run at the end of a backup that did not end well
	Timeout  Duration `yaml:"timeout,omitempty" json:"timeout,omitzero"`    // of each command, and of the wait for the lock; 0 means five minutes
	LockFile string   `yaml:"lock_file,omitempty" json:"lock_file,omitempty"`
}

func (p *parser) hooks(n *yaml.Node) {
	h := &p.config.Hooks
	commands := func(key string, dst *[]string) field {
		return field{key, p.list(key, func(item *yaml.Node) {
			var command string
			p.text("a command of "+key, &command)(item)
			if item.Kind == yaml.ScalarNode && strings.TrimSpace(item.Value) == "" {
				p.fail(item, "a command of %s is empty", key)
			}
			*dst = append(*dst, command)
		})}
	}
	at := p.mapping(n, "hooks",
		commands("before", &h.Before),
		commands("after", &h.After),
		commands("on_error", &h.OnError),
		field{"timeout", quantity(p.reader, "timeout", parseTimeout, &h.Timeout)},
		field{"lock_file", p.text("lock_file", &h.LockFile)},
	)
	if h.LockFile != "" {
		h.LockFile = p.path(at["lock_file"], h.LockFile)
	}
}

// parseTimeout reads how long a command may run.
func parseTimeout(text string) (Duration, error) {
	d, err := ParseDuration(text)
	if err == nil && d <= 0 {
		return 0, fmt.Errorf("%s: want some time, such as 5m: nothing ends at once", text)
	}
	return d, err
}
