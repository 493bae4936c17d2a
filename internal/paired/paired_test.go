package paired

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// slow is a way whose runs take so long by the clock of the bubble.
func slow(d time.Duration) Way {
	return Way{Run: func(n int) { <-time.After(time.Duration(n) * d) }}
}

func TestRatiosAreThoseOfTheTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Contest{Ways: []Way{slow(time.Microsecond), slow(3 * time.Microsecond), slow(time.Second / 2)}}
		require.Equal(t, []float64{1, 3, 500_000}, c.ratios(5, 10*time.Millisecond, time.Hour))
	})
}

// A round that something else has slowed down does not count more than another.
func TestRatioIsAMedian(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		steady, disturbed := slow(time.Millisecond), slow(2*time.Millisecond)
		inner := disturbed.Run
		disturbed.Run = func(n int) {
			if runs++; runs%3 == 0 {
				<-time.After(time.Second)
			}
			inner(n)
		}
		c := Contest{Ways: []Way{steady, disturbed}}
		require.Equal(t, []float64{1, 2}, c.ratios(30, time.Millisecond, time.Hour))
	})
}

// A contest of slow ways ends soon, with ten rounds.
func TestLimitEndsTheRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		opened, closed := 0, 0
		way := slow(time.Second)
		way.Open, way.Close = func() { opened++ }, func() { closed++ }
		c := Contest{Ways: []Way{way}}
		require.Equal(t, []float64{1}, c.ratios(60, time.Millisecond, time.Second))
		require.Equal(t, 4*time.Second+10*time.Second, time.Since(start), "four to calibrate, ten rounds")
		require.Equal(t, []int{1, 1}, []int{opened, closed})
	})
}

// A slice is long enough, even if the first run was disturbed.
func TestCalibrationIsNotMisled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		way := Way{Run: func(n int) {
			if runs++; runs%3 == 2 {
				<-time.After(time.Second)
			}
			<-time.After(time.Duration(n) * time.Microsecond)
		}}
		require.Equal(t, 10_000, way.calibrate(10*time.Millisecond))
	})
}
