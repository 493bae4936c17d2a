// Package onecpu is a machine with one CPU and no preemption, for programs
// whose threads must print in one certain order.
//
//	var cpu onecpu.CPU
//	cpu.Lock() // the caller has the CPU
//	ann := cpu.Start("ann", fn)
//	bob := cpu.Start("bob", fn) // ann sleeps, or has ended
//	cpu.Unlock()                // now they run, one at a time
//
// A thread keeps the CPU until it sleeps. A wake-up makes another thread ready,
// and does not run it. The first article ran on such a machine, and its log shows
// that order. Code under the big kernel lock relied on the same rule: a thread
// kept that lock until it slept.
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
// before it does anything and unlocks it at its end. The threads get the CPU in
// the order of a run queue. The zero value is an idle CPU.
type CPU struct {
	mu  sync.Mutex
	run []turn // the run queue; the first has the CPU; guarded by mu

	// Lock order: waitqueue.Queue.mu before CPU.mu.
}

// A turn is a place in the run queue.
type turn struct {
	task *waitqueue.Task // nil for a caller of Lock
	has  chan struct{}   // closed when it has the CPU
}

// Lock waits for the CPU, at the end of the run queue.
func (c *CPU) Lock() { c.lock(nil) }

// Unlock gives the CPU to the next thread of the run queue. That thread may come
// later: the CPU waits for it. Unlock panics if the CPU is idle.
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
// gives it a place in the run queue at once. So the threads that one wake-up
// wakes run in the order in which it finds them, and no goroutine can overtake
// another. The waker must have the CPU, and the sleepers sleep by
// [CPU.Schedule].
//
// Kernel: default_wake_function, add_to_runqueue
func (c *CPU) Enqueue(e *waitqueue.Entry, mask waitqueue.State, _ any) int {
	c.mu.Lock() // or the woken task could look for its place before it has one
	defer c.mu.Unlock()
	if !e.Task.WakeUp(mask) {
		return 0
	}
	c.add(e.Task)
	return 1
}

// lock waits for the turn of task. A task that is not in the run queue goes to
// its end.
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
