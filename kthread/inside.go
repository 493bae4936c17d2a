package kthread

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"

	"github.com/kprim/kprim/waitqueue"
)

// errDeadlock is the answer to a thread that would wait for itself.
var errDeadlock = fmt.Errorf("kthread: a thread cannot wait for itself: %w", syscall.EDEADLK)

// isCaller reports whether the thread's own goroutine called. Go does not say
// which goroutine one is on, so this asks the traceback, where the outermost
// function is the main of the thread, if it is one, with the thread as its
// argument. That is slow, and asked seldom: not of a thread that sleeps, and in
// full only by another thread.
func (t *Thread) isCaller() bool {
	if t.task.State() != waitqueue.Running || !onThread() {
		return false
	}
	main, trace := fmt.Sprintf(".(*Thread).main(%p", t), stack()
	return strings.Contains(trace, main+")") || strings.Contains(trace, main+"?)")
}

// onThread reports whether the caller is on the goroutine of some thread.
func onThread() bool {
	pcs := make([]uintptr, 64)
	n := runtime.Callers(2, pcs)
	for n == len(pcs) {
		pcs = make([]uintptr, 2*n)
		n = runtime.Callers(2, pcs)
	}
	outermost := pcs[max(0, n-2)] // but for runtime.goexit
	return strings.HasSuffix(runtime.FuncForPC(outermost).Name(), "kthread.(*Thread).main")
}

// stack returns the traceback of the caller, whose middle may be left out.
func stack() string {
	buf := make([]byte, 1<<16)
	return string(buf[:runtime.Stack(buf, false)])
}
