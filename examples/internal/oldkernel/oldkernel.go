// Package oldkernel has the ways to sleep that Linux has given up: sleep_on and
// its kin, which went with 3.15. They are here to be seen failing.
//
// All have one fault. The caller tests a condition, and then calls; whoever
// makes the condition true in between wakes a queue that nobody is on, and the
// caller sleeps on.
//
//	for !ready {
//		// a wake-up that comes here is lost
//		oldkernel.InterruptibleSleepOn(cpu, &queue, task)
//	}
//
// The kernels that they were made for had one CPU and no preemption, or one big
// lock, which a sleep drops: cpu stands for both, and saves them. 2.6 can preempt
// its own code, and whoever called them there without the big lock, which went
// with 2.6.39, raced: so does whoever calls them with a nil cpu.
//
// Kernel: kernel/sched.c of 2.6
package oldkernel

import (
	"time"

	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/waitqueue"
)

// SleepOn sleeps until the next wake-up of queue. What happened before it, and
// signals, are nothing to it. The caller has the CPU, which SleepOn gives up
// while it sleeps; cpu may be nil.
//
// Kernel: sleep_on
func SleepOn(cpu *onecpu.CPU, queue *waitqueue.Queue, task *waitqueue.Task) {
	sleepOn(cpu, queue, task, waitqueue.Uninterruptible)
}

// InterruptibleSleepOn is SleepOn, and a signal ends the sleep too. Which of
// them it was, only the caller can find out.
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

// prepare announces the sleep and queues the task. It comes too late: the test
// has been made. And it is followed by no other.
func prepare(cpu *onecpu.CPU, queue *waitqueue.Queue, task *waitqueue.Task, s waitqueue.State) *waitqueue.Entry {
	wait := &waitqueue.Entry{Task: task}
	if cpu != nil {
		wait.Func = cpu.Enqueue
	}
	task.SetState(s)
	queue.Add(wait)
	return wait
}
