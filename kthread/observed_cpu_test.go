//go:build !mutant

package kthread_test

import (
	"bytes"
	"cmp"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing/synctest"
)

// A cpu runs one goroutine at a time, as the machine did on which the cases were
// observed: one CPU and no preemption. A goroutine that is woken waits for the CPU
// until the running one sleeps. So all ops of a step happen before a woken thread
// runs. The woken goroutines get the CPU in the order in which they were woken.
type cpu struct {
	mu      sync.Mutex
	owner   string       // the goroutine that runs; guarded by mu
	arrived []*contender // since the last choice; guarded by mu
	wakeUps map[any]int  // when a sleeper was woken last; guarded by mu
	count   int          // of wake-ups; guarded by mu
	free    bool         // all run; guarded by mu
	ready   []*contender // of the runner only
}

// A contender is a goroutine that waits for the CPU.
type contender struct {
	id   string
	turn int // the number of the wake-up
	name string
	goOn chan struct{}
}

// woken notes that a sleeper was woken.
func (c *cpu) woken(sleeper any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	c.wakeUps[sleeper] = c.count
}

// enter waits for the CPU, unless the caller has it. The name decides between threads
// that begin, and sleepers of a semaphore, whose wake-up was not seen.
func (c *cpu) enter(id, name string, sleeper any) {
	c.mu.Lock()
	if c.free || c.owner == id {
		c.mu.Unlock()
		return
	}
	turn, ok := c.wakeUps[sleeper]
	if !ok || sleeper == nil {
		turn = math.MaxInt
	}
	m := &contender{id, turn, name, make(chan struct{})}
	c.arrived = append(c.arrived, m)
	c.mu.Unlock()
	<-m.goOn
}

// settle lets the goroutines run, one after the other, until each one sleeps.
func (c *cpu) settle() {
	for {
		synctest.Wait()
		c.mu.Lock()
		slices.SortFunc(c.arrived, func(a, b *contender) int {
			return cmp.Or(cmp.Compare(a.turn, b.turn), cmp.Compare(a.name, b.name))
		})
		c.ready = append(c.ready, c.arrived...)
		c.arrived = nil
		c.owner = ""
		if len(c.ready) == 0 {
			c.mu.Unlock()
			return
		}
		next := c.ready[0]
		c.ready = c.ready[1:]
		c.owner = next.id
		c.mu.Unlock()
		next.goOn <- struct{}{}
	}
}

// take gives the CPU to the runner.
func (c *cpu) take() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owner = goroutine()
}

// release ends the rule of one at a time.
func (c *cpu) release() {
	c.mu.Lock()
	c.free = true
	waiting := append(c.ready, c.arrived...)
	c.mu.Unlock()
	for _, m := range waiting {
		m.goOn <- struct{}{}
	}
}

// goroutine returns the number of the calling goroutine.
func goroutine() string {
	buf := make([]byte, 32)
	return string(bytes.Fields(buf[:runtime.Stack(buf, false)])[1])
}
