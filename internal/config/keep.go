package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Keep says which snapshots of a store prune leaves, by rules of which one is enough. The zero value has no rule.
type Keep struct {
	Last    Count `yaml:"last,omitempty" json:"last,omitempty"`
	Hourly  Count `yaml:"hourly,omitempty" json:"hourly,omitempty"`
	Daily   Count `yaml:"daily,omitempty" json:"daily,omitempty"`
	Weekly  Count `yaml:"weekly,omitempty" json:"weekly,omitempty"`
	Monthly Count `yaml:"monthly,omitempty" json:"monthly,omitempty"`
	Yearly  Count `yaml:"yearly,omitempty" json:"yearly,omitempty"`

	Within Duration `yaml:"within,omitempty" json:"within,omitzero"`
}

// A Count is how many snapshots a rule keeps. The zero value stands for no rule, and All, which is written all, for no limit.
type Count int

// All is the Count without a limit. In JSON it is -1.
const All Count = -1

// mostCount is far more than anybody has snapshots.
const mostCount = 1_000_000

// ParseCount reads how many snapshots a rule keeps: a number from 0 on, or all.
func ParseCount(text string) (Count, error) {
	if text == "all" {
		return All, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > mostCount || strconv.Itoa(n) != text {
		return 0, fmt.Errorf("%.40q: want how many snapshots to keep, or all", text)
	}
	return Count(n), nil
}

func (c Count) String() string {
	if c == All {
		return "all"
	}
	return strconv.Itoa(int(c))
}

// MarshalYAML writes a number, or all.
func (c Count) MarshalYAML() (any, error) {
	if c == All {
		return "all", nil
	}
	return int(c), nil
}

// ParseWithin reads for how long everything is kept: a time such as 36h, 14d or 8w, where d is 24 hours and w seven days.
func ParseWithin(text string) (Duration, error) {
	bad := fmt.Errorf("%.40q: want a time such as 36h, 14d or 8w", text)
	for suffix, unit := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if number, ok := strings.CutSuffix(text, suffix); ok {
			n, err := strconv.Atoi(number)
			if err != nil || n < 1 || n > mostDays || strconv.Itoa(n) != number {
				return 0, bad
			}
			return Duration(time.Duration(n) * unit), nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, bad
	}
	return Duration(d), nil
}

// mostDays, and as many weeks, are what a Duration can hold.
const mostDays = 15_000

// keep reads the rules for one store. Rules that keep nothing are a problem: they can't be meant.
func (p *parser) keep(dst *Keep) func(*yaml.Node) {
	return func(n *yaml.Node) {
		before := len(p.problems)
		rule := func(key string, dst *Count) field {
			return field{key, func(n *yaml.Node) {
				if n.Kind != yaml.ScalarNode {
					p.fail(n, "%s is %s, want how many snapshots to keep, or all", key, kindOf(n))
					return
				}
				quantity(p.reader, key, ParseCount, dst)(n)
			}}
		}
		p.mapping(n, "keep",
			rule("last", &dst.Last),
			rule("hourly", &dst.Hourly),
			rule("daily", &dst.Daily),
			rule("weekly", &dst.Weekly),
			rule("monthly", &dst.Monthly),
			rule("yearly", &dst.Yearly),
			field{"within", quantity(p.reader, "within", ParseWithin, &dst.Within)},
		)
		if *dst == (Keep{}) && len(p.problems) == before {
			p.fail(n, "keep has no rule that keeps anything; give it one, such as daily: 7, or leave it out")
		}
	}
}

// localKeep reads what the local store keeps: a number, or rules.
func (p *parser) localKeep(l *Local) func(*yaml.Node) {
	return func(n *yaml.Node) {
		switch {
		case n.Kind == yaml.MappingNode:
			l.Keep = int(All)
			p.keep(&l.Rules)(n)
		case n.Kind == yaml.ScalarNode && n.Value == "all":
			l.Keep = int(All)
		case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int":
			p.count("keep", &l.Keep)(n)
		default:
			p.fail(n, "keep is %s, want a whole number, all, or rules such as {daily: 7}", kindOf(n))
		}
	}
}

// MarshalYAML writes rules where a number stands otherwise.
func (l Local) MarshalYAML() (any, error) {
	var keep any = Count(l.Keep)
	if l.Rules != (Keep{}) {
		keep = l.Rules
	}
	return struct {
		Dir          string   `yaml:"dir,omitempty"`
		Keep         any      `yaml:"keep"`
		SpoolMax     Size     `yaml:"spool_max,omitempty"`
		MaxPin       Duration `yaml:"max_pin,omitempty"`
		MaxBlock     Duration `yaml:"max_block,omitempty"`
		MaxWALGrowth Size     `yaml:"max_wal_growth,omitempty"`
	}{l.Dir, keep, l.SpoolMax, l.MaxPin, l.MaxBlock, l.MaxWALGrowth}, nil
}
