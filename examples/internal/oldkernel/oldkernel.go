// Package oldkernel has the ways to sleep that Linux has given up: sleep_on and
// its variants, which were removed in 3.15. The examples show how they fail.
//
// All of them have one fault. The caller tests a condition, and then sleeps. A
// waker that comes between the two finds an empty queue. Its wake-up is lost, and
// the caller sleeps on.
//
//	for !ready {
//		// a wake-up that comes here is lost
//		oldkernel.InterruptibleSleepOn(cpu, &queue, task)
//	}
//
// The old kernels had one CPU and no preemption, or one big lock, which a sleep
// drops. There no waker could come in between. A cpu stands for both. Linux 2.6
// can preempt its own code. There a caller without the big lock could lose a
// wake-up, and so can a caller here with a nil cpu. The big lock was removed in
// 2.6.39.
//
// Kernel: kernel/sched.c of 2.6
package oldkernel

import (
	"time"

	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/waitqueue"
)

// SleepOn sleeps until the next wake-up of queue. It takes no notice of earlier
// wake-ups and of signals. The caller must have the CPU, and SleepOn gives it up
// while it sleeps. cpu may be nil.
//
// Kernel: sleep_on
func SleepOn(cpu *onecpu.CPU, queue *waitqueue.Queue, task *waitqueue.Task) {
	sleepOn(cpu, queue, task, waitqueue.Uninterruptible)
}

// InterruptibleSleepOn is SleepOn, and a signal ends the sleep too. The caller has
// to find out which of the two it was.
//
// Kernel: interruptible_sleep_on
func InterruptibleSleepOn(cpu *onecpu.CPU, queue *waitqueue.Queue, task *waitqueue.Task) {
	sleepOn(cpu, queue, task, waitqueue.Interruptible)
}

// InterruptibleSleepOnTimeout is InterruptibleSleepOn for at most d. It returns
// how much of d is left.
//
// Kernel: interruptible_sleep_on_timeout
func InterruptibleSleepOnTimeout(cpu *onecpu.CPU, queue *waitqueue.Queue, task *waitqueue.Task, d time.Duration) time.Duration {
	wait := prepare(cpu, queue, task, waitqueue.Interruptible)
	defer queue.Remove(wait)
	if cpu == nil {
		return task.ScheduleTimeout(d)
	}
	return cpu.ScheduleTimeout(task, d)
}

func sleepOn(cpu *onecpu.CPU, queue *waitqueue.Queue, task *waitqueue.Task, s waitqueue.State) {
	wait := prepare(cpu, queue, task, s)
	defer queue.Remove(wait)
	if cpu == nil {
		task.Schedule()
	} else {
		cpu.Schedule(task)
	}
}

// prepare announces the sleep and queues the task. It comes too late: the caller
// has tested before, and does not test again.
func prepare(cpu *onecpu.CPU, queue *waitqueue.Queue, task *waitqueue.Task, s waitqueue.State) *waitqueue.Entry {
	wait := &waitqueue.Entry{Task: task}
	if cpu != nil {
		wait.Func = cpu.Enqueue
	}
	task.SetState(s)
	queue.Add(wait)
	return wait
}
