package waitqueue_test

import (
	"cmp"
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var paired = flag.Bool("paired", false, "measure the contests in shuffled slices and print ratios")

// TestPairedContests prints how long each way takes, as a ratio to the first
// way of its contest. On a machine that is shared with others, seconds are
// worth little: what ran next to each other can be compared. So each round runs
// every way for a short slice, in a new order, and the figure is the median of
// the rounds' ratios.
//
//	go test ./waitqueue -run Paired -paired -v -cpu 1,2
func TestPairedContests(t *testing.T) {
	if !*paired {
		t.Skip("without -paired")
	}
	contests := []contest{pingPong(), wakeNobody()}
	for _, size := range herds {
		contests = append(contests, wakeAll(size))
	}
	for _, size := range crowds {
		contests = append(contests, cancelOne(size))
	}
	for _, c := range contests {
		t.Run(c.name, func(t *testing.T) {
			for i, ratio := range c.ratios(60, 10*time.Millisecond, 6*time.Second) {
				t.Logf("%-20s %.2f", c.ways[i].name, ratio)
			}
		})
	}
}

// ratios returns the median over the rounds of each way's time in relation to
// the first way's. After limit it ends with fewer rounds, but ten at least.
func (c contest) ratios(rounds int, slice, limit time.Duration) []float64 {
	times := make([]int, len(c.ways)) // how often a way runs in a slice
	for i, w := range c.ways {
		if w.open != nil {
			w.open()
			defer w.close()
		}
		times[i] = w.calibrate(slice)
	}
	all := make([][]float64, len(c.ways))
	start := time.Now()
	for round := range rounds {
		if round >= 10 && time.Since(start) > limit {
			break
		}
		took := make([]float64, len(c.ways))
		for _, i := range rand.Perm(len(c.ways)) {
			took[i] = c.ways[i].time(times[i])
		}
		for i := range took {
			all[i] = append(all[i], took[i]/took[0])
		}
	}
	medians := make([]float64, len(c.ways))
	for i := range all {
		slices.SortFunc(all[i], cmp.Compare[float64])
		medians[i] = all[i][len(all[i])/2]
	}
	return medians
}

// calibrate returns how often w can run in a slice, once at least.
func (w way) calibrate(slice time.Duration) int {
	w.run(1)
	n := 1
	for {
		per := w.time(n)
		if want := int(float64(slice) / per); want <= 2*n {
			return max(1, want)
		}
		n *= 2
	}
}

// time returns how many nanoseconds one of n runs takes.
func (w way) time(n int) float64 {
	start := time.Now()
	w.run(n)
	return float64(time.Since(start)) / float64(n)
}
