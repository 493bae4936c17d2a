package kthread

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"github.com/kprim/kprim/waitqueue"
)

// errDeadlock is the answer to a thread that would wait for itself.
var errDeadlock = &failure{"a thread cannot wait for itself", syscall.EDEADLK}

// A mark is the argument of the thread's outermost function. It tells the
// thread's goroutine from all others. Go passes an array in memory, not in
// registers, so a traceback shows its value for as long as the function runs.
// A build that takes the printing out of the runtime takes this away, see Stop.
// To note the goroutine's number at the start would take as long as the start.
type mark [2]*Thread

// isCaller reports whether the thread's own goroutine called.
//
// Optimization: a traceback is slow. There is none if the thread sleeps, or if
// the caller is no thread at all. A thread that announces its sleeps itself,
// by its Task, can call with a sleep announced, so its state says nothing.
func (t *Thread) isCaller() bool {
	if !t.stepwise.Load() && t.task.State() != waitqueue.Running {
		return false
	}
	return onThread() && strings.HasSuffix(outermostCall(stack()), fmt.Sprintf("{%p, %p})", t, t))
}

// onThread reports whether the caller is on the goroutine of some thread. It
// compares addresses of code: an obfuscator may have changed the names.
func onThread() bool {
	pcs := make([]uintptr, 64)
	n := runtime.Callers(2, pcs)
	for n == len(pcs) {
		pcs = make([]uintptr, 2*n)
		n = runtime.Callers(2, pcs)
	}
	outermost := pcs[max(0, n-2)] // the last one is runtime.goexit
	return runtime.FuncForPC(outermost-1).Entry() == mainEntry()
}

// mainEntry returns the address of the outermost function of every thread.
var mainEntry = sync.OnceValue(func() uintptr { return reflect.ValueOf(main).Pointer() })

// stack returns the traceback of the caller. It has the outermost frames in any
// case. Of a very deep stack, Go leaves out frames in the middle.
func stack() string {
	buf := make([]byte, 1<<13)
	n := runtime.Stack(buf, false)
	for n == len(buf) {
		buf = make([]byte, 2*n)
		n = runtime.Stack(buf, false)
	}
	return string(buf[:n])
}

// outermostCall returns the line of a traceback that shows the goroutine's
// outermost function and its arguments.
func outermostCall(trace string) string {
	calls, _, _ := strings.Cut(trace, "\ncreated by ")
	return calls[:max(0, strings.LastIndex(calls, "\n\t"))] // without its place in the source
}
