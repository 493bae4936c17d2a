// Package onecpu is a machine with one CPU and no preemption, for programs
// whose threads must print in one certain order.
//
// The first article ran on such a machine: a thread kept the CPU until it slept,
// and a wake-up made another thread ready without running it. Its log shows that
// order. Code that relied on the big kernel lock relied on the same: whoever had
// it kept it until it slept.
//
// Kernel: lock_kernel, unlock_kernel
package onecpu

import (
	"slices"
	"sync"
	"time"

	"github.com/kprim/kprim/waitqueue"
)

// A CPU is a lock that its holder drops while it sleeps. A thread locks it
// before it does anything and unlocks it at its end. Who wants the CPU gets it
// in the order of a run queue. The zero value is an idle CPU.
type CPU struct {
	mu  sync.Mutex
	run []turn // the run queue; the first has the CPU; guarded by mu

	// Lock order: waitqueue.Queue.mu before CPU.mu.
}

// A turn is a place in the run queue.
type turn struct {
	task *waitqueue.Task // nil if it came by Lock
	has  chan struct{}   // closed when it has the CPU
}

// Lock waits for the CPU, at the end of the run queue.
func (c *CPU) Lock() { c.lock(nil) }

// Unlock gives the CPU to the next of the run queue, who may not have arrived
// yet: its place is kept.
func (c *CPU) Unlock() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.run) == 0 {
		panic("onecpu: unlock of an idle CPU")
	}
	c.run = slices.Delete(c.run, 0, 1)
	if len(c.run) > 0 {
		close(c.run[0].has)
	}
}

// Sleep gives up the CPU while sleep blocks, and waits for its turn after that.
//
// Kernel: schedule, which drops the big kernel lock
func (c *CPU) Sleep(sleep func()) {
	c.Unlock()
	defer c.Lock()
	sleep()
}

// Schedule is Sleep for a task that has announced its sleep. It goes on at the
// place that [CPU.Enqueue] gave it, or else at the end of the run queue.
//
// Kernel: schedule
func (c *CPU) Schedule(task *waitqueue.Task) {
	c.Unlock()
	defer c.lock(task)
	task.Schedule()
}

// ScheduleTimeout is Schedule for at most d. It returns how much of d was left
// when the sleep ended: the wait for the CPU does not count.
//
// Kernel: schedule_timeout
func (c *CPU) ScheduleTimeout(task *waitqueue.Task, d time.Duration) (left time.Duration) {
	c.Unlock()
	defer c.lock(task)
	return task.ScheduleTimeout(d)
}

// Enqueue is a wake function for waitqueue.Entry.Func. It wakes the task, and
// gives it a place in the run queue there and then. So those that one wake-up
// wakes run in the order of the walk, whichever of their goroutines is quicker.
// The waker has the CPU, and the woken sleep by [CPU.Schedule].
//
// Kernel: default_wake_function, add_to_runqueue
func (c *CPU) Enqueue(e *waitqueue.Entry, mask waitqueue.State, _ any) int {
	c.mu.Lock() // the task cannot look for its place before it is there
	defer c.mu.Unlock()
	if !e.Task.WakeUp(mask) {
		return 0
	}
	c.add(e.Task)
	return 1
}

// lock waits for the turn of task, which is in the run queue or goes to its
// end.
func (c *CPU) lock(task *waitqueue.Task) {
	c.mu.Lock()
	i := -1
	if task != nil {
		i = slices.IndexFunc(c.run, func(t turn) bool { return t.task == task })
	}
	var has chan struct{}
	if i < 0 {
		has = c.add(task)
	} else {
		has = c.run[i].has
	}
	c.mu.Unlock()
	<-has
	settle()
}

// add puts task at the end of the run queue. The caller holds c.mu.
func (c *CPU) add(task *waitqueue.Task) chan struct{} {
	has := make(chan struct{})
	c.run = append(c.run, turn{task, has})
	if len(c.run) == 1 {
		close(has)
	}
	return has
}
