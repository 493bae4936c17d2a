// Package point is where the packages of this module let a test stop a goroutine
// between two of its steps. Package explore does that.
//
// A point has no cost but the load of a pointer that is nil, which the compiler puts in
// its place.
package point

import "sync/atomic"

var hook atomic.Pointer[func(name string, subject any)]

// At is a point. subject is the entry, the sleeper, the task or the thread that the
// point is about, or nil.
func At(name string, subject any) {
	if f := hook.Load(); f != nil {
		(*f)(name, subject)
	}
}

// Hook has f called at every point, on the goroutine that comes there. A nil f
// ends that.
func Hook(f func(name string, subject any)) {
	if f == nil {
		hook.Store(nil)
		return
	}
	hook.Store(&f)
}

// A Point is a place in a package of this module.
type Point struct {
	Name    string
	Package string
	Locked  bool // a lock of the package is held there
	Where   string
}

// All are the points of this module. No two have the same name.
var All = []Point{
	{"tested", "waitqueue", false, "a wait has tested its condition and has not acted on it"},
	{"sampled", "waitqueue", false, "a wait has looked whether it was ended, and has not tested again"},
	{"queued", "waitqueue", false, "Cond.Wait is on the queue and has not released L"},
	{"released", "waitqueue", false, "WaitHeld has released the queue's lock and does not sleep yet"},
	{"commit", "waitqueue", false, "a task is about to sleep, and has its place there"},
	{"awake", "waitqueue", false, "a sleeper goes on, and has not said so"},
	{"claim", "waitqueue", true, "a waker has found a sleeper, and has not claimed it"},
	{"unpark", "waitqueue", false, "a waker has claimed a sleeper, and has not woken it"},
	{"interrupted", "waitqueue", false, "Interrupt has set the level, and has not woken the task"},
	{"added", "waitqueue", false, "Complete has added its token, and has not woken a waiter"},
	{"remembered", "waitqueue", true, "a WokenEntry has noted a wake-up, and has not woken its task"},

	{"begin", "kthread", false, "a thread's goroutine begins"},
	{"stop flag is set", "kthread", false, "Stop has set its flag, and has not woken the thread"},
	{"tied", "kthread", false, "StopWith has registered at its context, and has not noted how to undo that"},
	{"unparked for the stop", "kthread", false, "Stop has taken a park back, and has not woken the thread"},
	{"park is asked", "kthread", false, "Park has asked, and has not woken the thread"},
	{"park is taken back", "kthread", false, "Unpark has taken the request back, and has not woken the thread"},
	{"looked for a park", "kthread", false, "Sleep has found no park, and does not sleep yet"},
	{"looked", "kthread", false, "ParkMe has looked for a request, and has not acted on it"},
	{"answered", "kthread", false, "ParkMe has answered, and does not sleep yet"},
	{"exited", "kthread", false, "a thread refuses requests, and has not answered the earlier ones"},
	{"pool is changed", "kthread", false, "a Worker or Workqueue is changed, and has woken no thread"},
	{"done is closed", "kthread", false, "Done is closed, and Stop and Wait do not know yet"},

	{"posted", "rwevent", false, "Post has stored its event, and has woken nobody"},
	{"take", "rwevent", false, "a taker is about to look for an event"},
	{"look", "rwevent", false, "a watcher is about to look for an event"},
	{"closed", "rwevent", false, "Close has closed, and has woken nobody"},

	{"changed", "sysctl", false, "a change has its number, and has woken nobody"},
	{"removed", "sysctl", false, "Unregister has removed the entries, and has woken nobody"},
	{"found", "sysctl", false, "a loop over a directory has found a change, and has not read yet"},
	{"apply", "sysctl", true, "Settings.Apply is about to store the next value, or to put one back"},
}
