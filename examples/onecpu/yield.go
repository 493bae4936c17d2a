package onecpu

// Yield gives the CPU to the threads that are in the run queue already, and
// returns when they have given it up. The caller takes its place behind them
// before it gives up the CPU, so the order is certain. A [CPU.Sleep] that does
// nothing has no such order.
//
// Kernel: sched_yield, and the preemption at the end of a time slice
func (c *CPU) Yield() {
	c.mu.Lock()
	has := c.add(nil)
	c.mu.Unlock()
	c.Unlock()
	<-has
	settle()
}
