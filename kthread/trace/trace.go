// Package trace shows where each thread sleeps and which thread wakes it, in the text of the
// kernel's ftrace, as of Linux 7.3. Perfetto and Chromium's trace viewer read it, and the
// command examples/ktrace draws it as text or as an SVG image.
//
//	file, err := os.Create("kprim.ftrace")
//	...
//	err = trace.Start(file)
//	...
//	err = trace.Stop()
//
// # Which tool
//
//   - Use package runtime/trace to see the goroutines and the garbage collector. With
//     [SetRegions] it shows the threads and their sleeps too.
//   - Use kthread.Tasks to see where each thread is at this moment.
//   - Use [Start] for all that happens from now until [Stop].
//   - Use a [FlightRecorder] for the last moments before something went wrong.
//   - Use [StartCounting] for the sleeps and wake-ups of each queue, in numbers.
//
// While none of them runs, a sleep or a wake-up costs a few loads of a pointer that is nil.
// The README has the figures.
//
// # The events of a trace
//
//   - A lane for each thread of package kthread, with its pid and the first 15 bytes of its
//     name. Spaces, equals signs and characters that do not print become "_", and so does a "#"
//     at the beginning.
//   - A lane for each task with a name, such as the name that [waitqueue.WithTask] gives to
//     a context. It begins with the first sleep of the task, and its goroutine has it from
//     then on, also as a waker. A thread keeps its own lane.
//   - A lane for each other goroutine that sleeps on a queue, wakes a waiter, sends a signal, or
//     calls [Begin], [End], [Instant] or [Counter]. Their names are goroutine/1, goroutine/2 and
//     so on, in the order in which they appear. After goroutine/99999 comes g/100000.
//   - A sched_switch when a waiter goes to sleep, and when it goes on. All waits of package
//     waitqueue count, and all sleeps of a thread through its Current or its Task. Other sleeps,
//     on a channel or a mutex, are shown as running.
//   - A sched_waking, a sched_blocked_reason with the name of the queue, and a sched_wakeup, for
//     each wake-up that finds a waiter. A wake-up by a timer, or by the end of a context that
//     carries a task, is a wake-up by the idle task.
//   - At the end, a sched_blocked_reason for each sleep that is not over, if its queue has a
//     name. It is a line of the idle task.
//   - A signal_generate for each signal to a thread. Its res is 0 if the signal is
//     delivered, 1 if it is ignored, and 2 if it is pending already.
//   - A workqueue_execute_start and a workqueue_execute_end for each work that runs.
//   - The marks of [Begin], [End], [Instant] and [Counter].
//
// A waiter goes to sleep in the trace when it really sleeps, and not when it announces the
// sleep. If a waker claims it between the two, the waker writes the switch of the waiter first.
// So each wake-up is behind the sleep that it ends. A waiter whose condition came true before
// it slept, or that wakes itself, has not slept.
//
// A waiter runs without a wake-up when the end of its context ends the wait. If a waker
// picks the waiter after that, the wake-up is not in the trace, because the waiter does
// not sleep.
//
// The times ascend strictly, in nanoseconds. Each lane has a CPU of its own.
//
// Go does not tell when a goroutine ends. A goroutine that begins later may continue its lane,
// also under the name of a task for which no stop was called. A lane of a thread ends with the
// thread.
//
// A waiter that is no thread and slept before the trace began has no lane until it sleeps again,
// wakes a waiter, or makes a mark.
//
// # Bubbles of testing/synctest
//
// In a bubble the times are by its clock, so a program with a fixed order has the same trace
// every time. Start and Stop in the same bubble. Goroutines outside of it, which have another
// clock, do not appear. There must be no second bubble at the same time. The text is written
// by Stop, and has at most 65,535 events.
//
// # Memory
//
// A trace holds at most 65,536 events until its goroutine can write them, and as many
// that it writes. If the Writer is too slow, the next events are lost. In their place,
// a comment in the text tells how many were lost. There is also a record for each
// thread and each goroutine that sleeps, and for at most 4,096 others.
//
// Kernel: kernel/trace/trace.c, include/trace/events/sched.h
package trace

import (
	"io"
	"syscall"
)

// Start begins a trace, which a goroutine writes to w until [Stop]. Threads that are there
// already are shown as they are. Start does not block.
//
// The error matches:
//
//   - [syscall.EBUSY] if a trace runs already, or if this package is in use with another
//     clock, for example after SetRegions outside of the bubble of testing/synctest;
//   - [syscall.EINVAL] if w is nil.
//
// Kernel: tracing_on
//
// Differs: traces this program only, to a Writer.
func Start(w io.Writer) error {
	if w == nil {
		return &failure{"a trace needs a writer", syscall.EINVAL}
	}
	the.mu.Lock()
	defer the.mu.Unlock()
	if the.stream != nil {
		return &failure{"a trace runs already", syscall.EBUSY}
	}
	if err := the.otherClock(); err != nil {
		return err
	}
	the.change(func() {
		the.stream = newStream(w, the.now(), the.virtual)
		for _, e := range the.scene() {
			e.at = the.stamp(1)
			the.stream.add(e)
		}
	})
	return nil
}

// Stop ends the trace, and waits until all of it is written. It returns the first error of the
// Writer, after which nothing was written. A Writer that takes less than it gets fails with
// [io.ErrShortWrite]. If the Writer panicked, the panic goes on in Stop. If no trace runs, it
// returns nil. The Writer must not call Stop, because it would wait for itself.
func Stop() error {
	the.mu.Lock()
	s := the.stream
	if s != nil {
		for _, e := range the.reasons() {
			e.at = the.stamp(1)
			s.add(e)
		}
	}
	the.change(func() { the.stream = nil })
	the.mu.Unlock()
	if s == nil {
		return nil
	}
	return s.close()
}

// A failure is an error with an errno that is not in its text.
type failure struct {
	text  string
	errno syscall.Errno
}

func (f *failure) Error() string { return "trace: " + f.text }
func (f *failure) Unwrap() error { return f.errno }
