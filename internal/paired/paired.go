// Package paired is for tests that measure several ways to do one thing. On a
// machine that is shared with others, seconds are worth little. Only runs side by
// side can be compared. So a contest has rounds. In each round every way has a
// short slice, in a new order, and the figures are ratios.
package paired

import (
	"cmp"
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var paired = flag.Bool("paired", false, "measure the contests in shuffled slices and print ratios")

// A Contest is a benchmark of several ways to do one thing.
type Contest struct {
	Name string
	Ways []Way
}

// A Way is one way to do the thing of a Contest.
type Way struct {
	Name        string
	Run         func(n int) // does it n times
	Open, Close func()      // if not nil, called before the first run and after the last
}

// Bench runs c as an ordinary benchmark, one way after the other.
func (c Contest) Bench(b *testing.B) {
	for _, w := range c.Ways {
		if w.Open != nil {
			w.Open()
		}
		b.Run(w.Name, func(b *testing.B) {
			b.ReportAllocs()
			w.Run(b.N)
		})
		if w.Close != nil {
			w.Close()
		}
	}
}

// Test prints how long each way takes, as a ratio to the first way of its
// contest: the median of the rounds' ratios. Each contest is
// a subtest. Without the flag -paired it skips t.
func Test(t *testing.T, contests ...Contest) {
	if !*paired {
		t.Skip("without -paired")
	}
	for _, c := range contests {
		t.Run(c.Name, func(t *testing.T) {
			for i, ratio := range c.ratios(60, 10*time.Millisecond, 6*time.Second) {
				t.Logf("%-20s %.2f", c.Ways[i].Name, ratio)
			}
		})
	}
}

// ratios returns the median over the rounds of each way's time in relation to
// the first way's. After limit it ends with fewer rounds, but ten at least.
func (c Contest) ratios(rounds int, slice, limit time.Duration) []float64 {
	times := make([]int, len(c.Ways)) // how often a way runs in a slice
	for i, w := range c.Ways {
		if w.Open != nil {
			w.Open()
			defer w.Close()
		}
		times[i] = w.calibrate(slice)
	}
	all := make([][]float64, len(c.Ways))
	start := time.Now()
	for round := range rounds {
		if round >= 10 && time.Since(start) > limit {
			break
		}
		took := make([]float64, len(c.Ways))
		for _, i := range rand.Perm(len(c.Ways)) {
			took[i] = c.Ways[i].time(times[i])
		}
		for i := range took {
			all[i] = append(all[i], took[i]/took[0])
		}
	}
	medians := make([]float64, len(c.Ways))
	for i := range all {
		slices.SortFunc(all[i], cmp.Compare[float64])
		medians[i] = all[i][len(all[i])/2]
	}
	return medians
}

// calibrate returns how often w can run in a slice, once at least. It takes the best of three
// times. One bad time would make the slice so short that it measures how a run begins.
func (w Way) calibrate(slice time.Duration) int {
	w.Run(1)
	n := 1
	for {
		per := min(w.time(n), w.time(n), w.time(n))
		if want := int(float64(slice) / per); want <= 2*n {
			return max(1, want)
		}
		n *= 2
	}
}

// time returns how many nanoseconds one of n runs takes.
func (w Way) time(n int) float64 {
	start := time.Now()
	w.Run(n)
	return float64(time.Since(start)) / float64(n)
}
