package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		list []int64
		want int64
	}{{nil, 0}, {[]int64{7}, 7}, {[]int64{9, 1}, 1}, {[]int64{9, 1, 1000}, 9}} {
		if got := median(c.list); got != c.want {
			t.Errorf("median(%v) = %d, want %d", c.list, got, c.want)
		}
	}
}

func TestTimesAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		873: "873ns", 1234: "1.23µs", 15_678: "15.7µs", 1_234_567: "1.23ms", 12_345_678: "12ms",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%d) = %s, want %s", d, got, want)
		}
	}
}

// A side that takes twice the time, and makes two allocations more, shows it.
func TestMeasureComparesWithinARound(t *testing.T) {
	fast(t)
	work := func(n int) side {
		return side{"work", func(b *testing.B) {
			for b.Loop() {
				spin(n)
			}
		}}
	}
	f, err := row{ours: work(4000), theirs: work(1000)}.measure(5)
	if err != nil || f.ratio < 2 || f.ratio > 8 {
		t.Errorf("measure = ratio %.2f, %v, want about 4", f.ratio, err)
	}
	floor := work(1000)
	f, err = row{ours: work(5000), theirs: work(2000), floor: &floor}.measure(5)
	if err != nil || f.ratio < 2 || f.ratio > 8 {
		t.Errorf("measure above a floor = ratio %.2f, %v, want about 4", f.ratio, err)
	}
}

func TestAFailureIsNoNumber(t *testing.T) {
	fast(t)
	bad := side{"the broken one", func(b *testing.B) { b.Fatal("broken") }}
	var out bytes.Buffer
	err := print(&out, []row{{ours: bad, theirs: bad}}, 1)
	if err == nil || !strings.Contains(err.Error(), "the broken one") {
		t.Errorf("print = %v, want an error that names the side", err)
	}
}

var sink int

//go:noinline
func spin(n int) {
	for i := range n {
		sink += i ^ sink
	}
}
