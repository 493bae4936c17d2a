// Package watch is where waitqueue and kthread tell a tracer which goroutine sleeps, and
// which one wakes it. Package kthread/trace is that tracer.
//
// While there is no tracer, a call costs the load of a pointer that is nil. The compiler puts
// the load in the place of the call.
package watch

import "sync/atomic"

// A Watcher is the tracer, as a set of functions. A sleeper is a *waitqueue.Task, or the
// channel of a wait that has none. All functions may be called with locks of the caller held,
// so they must not block, or use packages waitqueue and kthread.
type Watcher struct {
	// The life of a sleep. The functions are called on the goroutine that sleeps.
	//
	//	Announce  it is about to sleep; called before a waker can find it
	//	Place     the sleep that was announced has a place with this name
	//	Asleep    it goes to sleep
	//	Awake     it goes on, or it gives up the sleep that it announced
	//	Over      the whole wait is over; this is Awake too
	Announce func(sleeper any, name, queue string, state uint32)
	Place    func(sleeper any, queue string)
	Asleep   func(sleeper any)
	Awake    func(sleeper any)
	Over     func(sleeper any)

	// Wake is called on the goroutine of the waker.
	//
	// Hold and Release surround the claim of a sleeper and its Wake. Otherwise the sleeper
	// could come between:
	//
	//	waker: claim the sleeper
	//	sleeper: see that, go on, and announce its next sleep
	//	waker: Wake, which is told of the wrong sleep
	Hold, Release func()
	Wake          func(sleeper any)

	// Idle calls wake. No goroutine of the program wakes the sleeper, but a timer or the
	// end of a context does.
	Idle func(wake func())

	// Sleep returns the state of a thread that sleeps, and the name of the queue. It also knows
	// the waits with another task than the thread's own. The state is 0 if the thread does not
	// sleep.
	Sleep func(task any) (state uint32, queue string)

	// Forget is called when a task with a name is not used any more.
	Forget func(task any)

	Born   func(Thread)   // it is about to run
	Begin  func(Thread)   // it runs, on its own goroutine
	Exit   func(task any) // it has ended, on its own goroutine
	Signal func(task any, signal int, result Result)

	// A work begins and ends, on the goroutine of its thread. function is its func.
	WorkBegins func(task any, number uint64, function func())
	WorkEnds   func(task any, number uint64, function func())
}

// A Thread is a thread of package kthread.
type Thread struct {
	Task any // its *waitqueue.Task
	Pid  int
	Name string
	Self uintptr // the result of Self on its goroutine, or 0 before that begins
}

// A Result is the effect of a signal. The numbers are the kernel's.
type Result int

const (
	Delivered Result = iota
	Ignored
	Pending // already
)

// Package kthread sets these at its start.
var (
	Self    func() uintptr          // returns a number for the calling goroutine; a later one may have it again
	Threads func(each func(Thread)) // lists the threads with the caller's clock that have begun and are not gone
)

// Woken counts a wake-up of the task of a thread that waits with another task, or with none.
// Package waitqueue sets it at its start.
var Woken func(task any)

var watcher atomic.Pointer[Watcher]

// Set has w told of all that happens. A nil w ends that. A call that has begun before may
// still come to the former Watcher.
func Set(w *Watcher) { watcher.Store(w) }

// On returns the tracer, or nil.
func On() *Watcher { return watcher.Load() }

// Asleep is the function of the tracer, if there is one. So are the next ones.
func Asleep(sleeper any) {
	if w := watcher.Load(); w != nil {
		w.Asleep(sleeper)
	}
}

func Awake(sleeper any) {
	if w := watcher.Load(); w != nil {
		w.Awake(sleeper)
	}
}

func Over(sleeper any) {
	if w := watcher.Load(); w != nil {
		w.Over(sleeper)
	}
}

func Place(sleeper any, queue string) {
	if w := watcher.Load(); w != nil {
		w.Place(sleeper, queue)
	}
}

func Forget(task any) {
	if w := watcher.Load(); w != nil {
		w.Forget(task)
	}
}

func Exit(task any) {
	if w := watcher.Load(); w != nil {
		w.Exit(task)
	}
}

// Wake tells of a sleeper that its waker has taken off a queue. No claim can come between.
func Wake(sleeper any) {
	if w := watcher.Load(); w != nil {
		w.Hold()
		w.Wake(sleeper)
		w.Release()
	}
}

// Idle calls wake, as the function of the tracer does.
func Idle(wake func()) {
	if w := watcher.Load(); w != nil {
		w.Idle(wake)
	} else {
		wake()
	}
}
