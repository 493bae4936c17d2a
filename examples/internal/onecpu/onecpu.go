// Package onecpu is a machine with one CPU and no preemption, for programs
// whose threads must print in one certain order.
//
// The articles ran on such machines: a thread kept the CPU until it slept, and
// a wake-up made another thread ready without running it. Their logs show that
// order, and readers of their code rely on it without noticing.
//
// Kernel: lock_kernel, unlock_kernel
package onecpu

import "sync"

// A CPU is a lock that its holder drops while it sleeps. A thread locks it
// before it does anything and unlocks it at its end. The zero value is an idle
// CPU.
type CPU struct{ sync.Mutex }

// Sleep gives up the CPU while sleep blocks, and waits for its turn after that.
//
// Kernel: schedule, which drops the big kernel lock
func (c *CPU) Sleep(sleep func()) {
	c.Unlock()
	defer c.Lock()
	sleep()
}
