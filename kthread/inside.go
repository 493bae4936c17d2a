package kthread

import "syscall"

// errDeadlock is the answer to a thread that would wait for itself.
var errDeadlock = &failure{"a thread cannot wait for itself", syscall.EDEADLK}

// isCaller reports whether the thread's own goroutine called. A thread that is gone calls
// nothing, though another goroutine may have its identity:
//
//	thread: end
//	runtime: give its identity to a new goroutine
//	new goroutine: wait for the thread
//
// Optimization: the thread notes itself at its begin, and does not clear the note at its
// end. Each Start would pay for that.
func (t *Thread) isCaller() bool {
	me := self()
	return me != 0 && me == t.self.Load() && !t.isOver()
}
