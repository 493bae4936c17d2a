package onecpu

// Yield gives the CPU to whoever is in the run queue already, and returns when
// they have given it up. The caller has its place behind them before it leaves,
// so that the order is certain, which it is not after a [CPU.Sleep] that does
// nothing.
//
// Kernel: sched_yield, and what preempts a thread at the end of its time slice
func (c *CPU) Yield() {
	c.mu.Lock()
	has := c.add(nil)
	c.mu.Unlock()
	c.Unlock()
	<-has
	settle()
}
