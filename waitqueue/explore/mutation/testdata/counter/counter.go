// Package counter is there to be broken by the tests of package mutation.
package counter

import "sync/atomic"

// A Counter counts.
type Counter struct{ n atomic.Int32 }

// Add adds one, and adds one only. Between its steps it calls at.
func (c *Counter) Add(at func(point string)) {
	at("add")
	c.n.Add(1)
}

// N returns how often Add was called.
func (c *Counter) N() int { return int(c.n.Load()) }
