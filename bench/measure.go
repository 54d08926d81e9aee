package main

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"time"
)

// side is one of the things that a row compares.
type side struct {
	name string
	run  func(*testing.B)
}

// row compares ours with theirs. With a floor, what is compared is how much each of them costs above it.
type row struct {
	ours, theirs side
	floor        *side
}

// sample is the cost of one operation.
type sample struct {
	time   time.Duration
	allocs int64
}

// minus returns the cost of s above a floor. What is below it by noise costs nothing.
func (s sample) minus(floor sample) sample {
	return sample{max(0, s.time-floor.time), max(0, s.allocs-floor.allocs)}
}

// finding is a measured row: medians over the rounds.
type finding struct {
	ours, theirs sample
	ratio        float64
}

// measure runs both sides in turns.
func (r row) measure(rounds int) (finding, error) {
	var ours, theirs []sample
	var ratios []float64
	for range rounds {
		a, err := r.ours.once()
		if err != nil {
			return finding{}, err
		}
		b, err := r.theirs.once()
		if err != nil {
			return finding{}, err
		}
		if r.floor != nil {
			f, err := r.floor.once()
			if err != nil {
				return finding{}, err
			}
			a, b = a.minus(f), b.minus(f)
		}
		ours, theirs = append(ours, a), append(theirs, b)
		if b.time > 0 {
			ratios = append(ratios, float64(a.time)/float64(b.time))
		}
	}
	return finding{middle(ours), middle(theirs), median(ratios)}, nil
}

// once measures a side. testing.Benchmark says by a result without iterations that it failed.
func (s side) once() (sample, error) {
	res := testing.Benchmark(s.run)
	if res.N == 0 {
		return sample{}, fmt.Errorf("%s failed", s.name)
	}
	return sample{res.T / time.Duration(res.N), res.AllocsPerOp()}, nil
}

func middle(list []sample) sample {
	times, allocs := make([]time.Duration, len(list)), make([]int64, len(list))
	for i, s := range list {
		times[i], allocs[i] = s.time, s.allocs
	}
	return sample{median(times), median(allocs)}
}

// median returns the middle value, the lower one of two; zero of none.
func median[T int64 | float64 | time.Duration](list []T) T {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	return sorted[(len(sorted)-1)/2]
}

// print writes the table in Markdown.
func print(w io.Writer, rows []row, rounds int) error {
	fmt.Fprintln(w, "| measured | time | allocations | beside | time | allocations | ratio of times |")
	fmt.Fprintln(w, "|---|---:|---:|---|---:|---:|---:|")
	for _, r := range rows {
		f, err := r.measure(rounds)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "| %s | %s | %d | %s | %s | %d | %s |\n",
			r.ours.name, short(f.ours.time), f.ours.allocs, r.theirs.name, short(f.theirs.time), f.theirs.allocs, times(f.ratio))
	}
	return nil
}

// short shows a time with two or three digits.
func short(d time.Duration) string {
	switch {
	case d >= 10*time.Millisecond:
		d = d.Round(time.Millisecond)
	case d >= time.Millisecond:
		d = d.Round(10 * time.Microsecond)
	case d >= 10*time.Microsecond:
		d = d.Round(100 * time.Nanosecond)
	case d >= time.Microsecond:
		d = d.Round(10 * time.Nanosecond)
	}
	return d.String()
}

// times shows a ratio with two digits that count.
func times(ratio float64) string {
	switch {
	case ratio >= 10:
		return fmt.Sprintf("%.0f", ratio)
	case ratio >= 1:
		return fmt.Sprintf("%.1f", ratio)
	}
	return fmt.Sprintf("%.2f", ratio)
}
