//go:build unix

package rig_test

import (
	"bytes"
	"math"
	"testing"
	"time"

	"lifeboat/bench/measure"
	"lifeboat/bench/rig"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{9, 1, 2}, 2}} {
		if got := rig.Median(c.values); got != c.want {
			t.Errorf("the median of %v is %v, not %v", c.values, got, c.want)
		}
	}
}

func TestSlope(t *testing.T) {
	for _, c := range []struct{ size1, value1, size2, value2, want float64 }{
		{1, 5, 10, 5, 0},
		{1, 5, 10, 50, 1},
		{100, 2, 1000, 200, 2},
		{1000, 200, 100, 2, 2},
		{1, 8, 4, 4, -0.5},
		{1, 0, 10, 5, math.NaN()},
		{10, 1, 10, 5, math.NaN()},
		{0, 1, 10, 5, math.NaN()},
	} {
		got := rig.Slope(c.size1, c.value1, c.size2, c.value2)
		if math.IsNaN(got) != math.IsNaN(c.want) || math.Abs(got-c.want) > 1e-9 {
			t.Errorf("from %v at %v to %v at %v the slope is %v, not %v", c.value1, c.size1, c.value2, c.size2, got, c.want)
		}
	}
}

func TestCell(t *testing.T) {
	seconds := rig.Figures()[0]
	samples := func(of ...time.Duration) (list []rig.Sample) {
		for _, d := range of {
			list = append(list, rig.Sample{Usage: measure.Usage{Wall: d}})
		}
		return list
	}
	for want, of := range map[string][]rig.Sample{
		"1.00":                samples(time.Second),
		"1.00 (0.50 to 2.00)": samples(2*time.Second, time.Second, time.Second/2),
		"1.50 (1.00 to 2.00)": samples(2*time.Second, time.Second),
		"2.00":                samples(2*time.Second, 2*time.Second+time.Microsecond),
	} {
		if got := seconds.Cell(seconds.Values(of)); got != want {
			t.Errorf("a cell is %q, not %q", got, want)
		}
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	rig.Table(&b, []string{"step", "a", "b"}, [][]string{{"first", "1", "2"}, {"second"}})
	want := "| step | a | b |\n| --- | --- | --- |\n| first | 1 | 2 |\n| second |  |  |\n"
	if b.String() != want {
		t.Errorf("the table is\n%s, not\n%s", &b, want)
	}
	if got := rig.Calls(map[string]int64{"PutObject": 2, "HeadObject": 2, "GetObject": 10}); got != "10 GetObject, 2 HeadObject, 2 PutObject" {
		t.Errorf("calls are %q", got)
	}
}
