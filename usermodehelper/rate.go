package usermodehelper

import (
	"slices"
	"time"
)

// A rate remembers when the last helpers passed: at most Burst of them, and at most as many
// as pass within one Interval. It is guarded by the mutex of its Gate.
type rate struct {
	times []time.Time // a ring
	first int         // the index of the oldest time
}

// note remembers that a helper passes. A gate without an Interval needs no memory. A helper
// that passed an Interval ago, or earlier, holds up no other one, so its time is replaced.
func (r *rate) note(now time.Time, burst int, interval time.Duration) {
	if interval == 0 {
		return
	}
	n := len(r.times)
	switch {
	case n == max(burst, 1), n > 0 && now.Sub(r.times[r.first]) >= interval:
		r.times[r.first] = now
		r.first = (r.first + 1) % n
	case r.first == 0:
		r.times = append(r.times, now)
	default:
		r.times = slices.Insert(r.times, r.first, now)
		r.first++
	}
}

// pause returns how long the rate holds up the next helper.
func (g *Gate) pause(now time.Time) time.Duration {
	r := &g.rate
	if g.Interval == 0 || len(r.times) < max(g.Burst, 1) {
		return 0
	}
	return max(0, g.Interval-now.Sub(r.times[r.first]))
}

// setTimer sets the timer to the moment at which the first waiter may pass. While all
// places are taken there is none, because the next helper that leaves looks again.
func (g *Gate) setTimer(now time.Time) {
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
	if len(g.waiting) > 0 && g.hasPlace() {
		g.timer = time.AfterFunc(g.pause(now), g.tick)
	}
}

// tick may come once more after the timer was stopped, and does no harm then.
func (g *Gate) tick() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.admit()
}
