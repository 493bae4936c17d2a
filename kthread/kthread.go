// Package kthread runs goroutines that have a name, a handshake at their start
// and at their stop, and signals: the kernel's kthread, as of Linux 7.3.
//
//	t := kthread.Run("flusher", func(cur *kthread.Current) error {
//		for !cur.ShouldStop() {
//			flush()
//			cur.Sleep(5 * time.Second) // ends early when a stop is asked
//		}
//		return nil
//	})
//	...
//	err := t.Stop() // asks, waits until the thread is gone, returns its error
//
// # Which tool
//
//   - Use a go statement for work that ends by itself and has no answer.
//   - Use golang.org/x/sync/errgroup for tasks that the first error ends.
//   - Use gopkg.in/tomb.v2 for a group that other goroutines end, for a reason.
//   - Use a context for a tree of calls that is given up as a whole.
//   - Use a [Thread] for a goroutine that lives as long as a component does.
//   - Use a [Worker] or a [Workqueue] for functions that are queued.
//
// # A thread
//
// A thread is a named goroutine with a handle. Other goroutines speak to the thread through
// the handle, a Thread. The thread itself uses its [Current]. After [Start] it is set
// up, and after Stop it is gone. An Example stops several threads in order, and keeps
// all their errors.
//
// A thread must end by itself when it is asked to stop. All its interruptible
// sleeps end then, as in the kernel since Linux 6.1, so it is enough to ask
// [Current.ShouldStop] after each sleep.
//
// [Thread.AskStop] asks without waiting, and may give a reason. [Thread.Stopping] shows
// to other goroutines that a stop is asked. [Thread.StopWith] ties a thread to a context,
// whose end stops it.
//
// These lines stop a thread cleanly when the process gets SIGTERM:
//
//	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
//	defer cancel()
//	t := kthread.Run("flusher", flusher)
//	select {
//	case <-ctx.Done():
//	case <-t.Done(): // it has ended by itself
//	}
//	err := t.Stop() // nil if flusher has returned nil
//
// After t.StopWith(ctx) the error of Wait is not nil then, because it has the reason.
//
// A thread inherits nothing from its creator. It has a context of its own, and
// its name is its only profiler label. A panic in a thread ends the program, as
// in any goroutine. [runtime.Goexit] ends the thread only.
//
// # Signals
//
// A signal is a request to a thread, by number. It is not the process's
// signal of that number. It never kills, and it is lost unless the thread has
// allowed it. While a signal is pending, interruptible sleeps end at once with
// an error that matches EINTR. [Current.Dequeue] takes one signal, and
// [Current.Flush] drops all.
//
// A stop ends sleeps too, and cannot be flushed. Its error is [ErrStopped],
// which matches EINTR as well, so ask for the stop first:
//
//	err := cur.Wait(&queue, ready)
//	switch {
//	case err == nil:
//		work()
//	case cur.ShouldStop():
//		return nil
//	default: // a signal
//		reload()
//		cur.Flush()
//	}
//
// # Parking
//
// A parked thread sleeps at a place of its choice until it is unparked. Another
// goroutine asks for it by [Thread.Park]. The thread has to look, as for a stop:
//
//	for !cur.ShouldStop() {
//		cur.ParkMe() // returns at once if it is not asked
//		cur.Wait(&queue, func() bool { return ready() || cur.ShouldPark() })
//		...
//	}
//
// # Works
//
// A [Work] is a function that is queued, and runs on a thread that others made. It
// never runs twice at once, and a second request is forgotten while the first one is
// pending. A caller can wait for it, cancel it, or delay it.
//
//   - Use a [Worker] if the works share state that needs no lock then, or if the thread
//     is parked or has signals. It is one thread, from its start to its stop. A work sees
//     that stop through [Worker.Current].
//   - Use a [Workqueue] if works may run side by side, or seldom run at all. Its threads
//     come and go. A work sees the end through [Workqueue.Context].
//   - Use a buffered channel of funcs, and goroutines that call them, if each func runs
//     once and nothing waits for a single one. The channel holds back a caller when it is
//     full, which an Enqueue does not do.
//
// # Watching
//
// [Tasks] lists the threads, and shows the state of each. In goroutine profiles
// a thread has the label kthread, its name. [SetProfile] makes profiles show
// more, at a price. Packages of their own, which kthread does not import, do the rest:
//
//   - [github.com/kprim/kprim/kthread/trace] shows when each thread slept, and
//     which thread woke it. It has a flight recorder, and counters of queues.
//   - [github.com/kprim/kprim/kthread/trace/picture], and the command
//     examples/ktrace, draw such a trace.
//   - [github.com/kprim/kprim/kthread/kthreadhttp] serves a page of all that, for
//     /debug/kthreads, and [github.com/kprim/kprim/kthread/kthreadexpvar] has it
//     among the variables of package expvar.
//   - [github.com/kprim/kprim/kthread/printk] is the kernel's log for package slog.
//   - The program examples/khungtaskd finds threads that hang.
//
// # Errors
//
// The text of an error says in words which thing went wrong. The errno is for
// [errors.Is], and is not in the text.
//
// # Memory model
//
// In the words of the Go memory model: on each line, the left event happens before
// the right one.
//
//   - Run, Start, or the first WakeUp is called; the function of the thread begins.
//   - The thread calls Ready; Start returns.
//   - The function returns; Stop or Wait returns its error, or Done is closed. If no
//     stop was asked, also: Stopping is closed.
//   - The first stop is asked, by Stop, AskStop or the end of a context of StopWith;
//     the thread notices it. Its ShouldStop returns true, a sleep ends with
//     [ErrStopped], its context ends, or Stopping is closed.
//   - AskStop of a workqueue is called, or a context of its StopWith ends; the Context of
//     the workqueue ends.
//   - Signal is called; the Dequeue returns that takes this signal.
//   - The thread calls ParkMe and parks; the Park of another goroutine returns nil.
//   - Unpark is called; the ParkMe returns that it ends.
//   - Enqueue, EnqueueAfter or ModDelayed is called; the next run of this work
//     begins. This holds also for an Enqueue that returns false because the work is
//     pending.
//   - A run ends; the Flush, CancelSync, Drain or Destroy returns that waited for it.
//     Also: the next run of the worker, or of the same work, begins.
//
// A wait on a queue orders as in package waitqueue.
//
// # Bubbles of testing/synctest
//
// A thread belongs to the bubble in which it was created. Only goroutines of that
// bubble may stop, signal, wake or wait for it, or end a context that StopWith tied
// it to. A thread that was created outside of all bubbles is for goroutines outside
// only. A wait from elsewhere ends the program when the thread ends.
//
// Package [github.com/kprim/kprim/waitqueue/explore] takes threads through every order of
// their steps, one bubble for each.
//
// # Defined here, and not in the kernel
//
//   - A second stop returns the same error as the first. In the kernel it hangs if
//     the caller keeps a reference to the thread. Without one, it uses freed memory.
//   - A thread that would wait for itself gets EDEADLK, and so does a work that
//     would wait for its own worker. The kernel hangs. See [Thread.Stop] for a
//     place where this package hangs too.
//   - Park returns ENOSYS if the thread ends without having parked, and EINTR
//     if it is unparked or stopped before. The kernel hangs.
//   - Flush of a delayed work whose time has not come runs it. The kernel hangs.
//   - A work that is used with a second worker panics. The kernel warns.
//   - A worker can be parked. The kernel's never looks whether it should.
//   - A workqueue that refuses a work says so. In the kernel the work stays pending.
//
// # Different from the kernel, because of Go
//
//   - Creation cannot be interrupted, because it waits for nothing. Start can.
//   - No signal kills a thread, and there is no killable sleep.
//
// Kernel: include/linux/kthread.h, kernel/kthread.c
package kthread

import (
	"context"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/internal/watch"
	"github.com/kprim/kprim/waitqueue"
)

// The life of a thread, from its creation to its end:
//
//	newThread        puts it on the list of threads; it has no goroutine yet
//	Thread.WakeUp    starts the goroutine, once
//	Thread.main      runs the function, and notes its error
//	Current.Ready    the function has set up: Start returns
//	Thread.AskStop   another goroutine: sets the stop, and ends the sleeps
//	Thread.exit      refuses new requests, and answers the earlier ones
//	Thread.finish    closes Done and opens the gate of the end: Stop and Wait return

// A Thread is the handle of a thread. Any goroutine may call its methods. Make it
// with [Run], [Start] or [Create].
//
// Kernel: struct task_struct of a kthread, struct kthread
type Thread struct {
	// Written before the thread is shared.
	pid      int
	label    *label // the name
	born     time.Time
	place    *place // in the list
	atExit   func() // if not nil, called at the end, whether fn ran or not
	profiled bool
	awaited  bool // a Start waits for ready

	begun   atomic.Bool             // the goroutine is started
	readied atomic.Bool             // the function called Ready; written before ready opens
	stop    atomic.Pointer[failure] // the error of the sleeps, or nil; set once, and never cleared
	self    atomic.Uintptr          // the goroutine, noted at its begin; see isCaller
	parking atomic.Pointer[reply]   // the request to park, or nil

	mu      sync.Mutex
	exited  bool                    // requests are refused; guarded by mu
	over    bool                    // Done is closed; guarded by mu
	done    chan struct{}           // of Done; made when asked for; guarded by mu
	allowed uint64                  // signals, a bit each; guarded by mu
	pending uint64                  // likewise; guarded by mu
	more    map[syscall.Signal]int  // pending more than once; guarded by mu
	ctx     context.Context         // made when asked for; guarded by mu
	cancel  context.CancelCauseFunc // of ctx; guarded by mu
	ties    []func() bool           // each ends one StopWith; guarded by mu
	member  *member                 // that it is in a pool, or nil; guarded by mu
	// Lock order: mu before the task's.

	task  waitqueue.Task
	ready gate  // the handshake of the start, if awaited
	gone  gate  // the handshake of the end
	err   error // written once before gone opens

	fn  func(*Current) error // nil when the thread is gone, as its captures may be large
	cur Current              // for fn
}

// Create makes a thread that does not run yet. The first WakeUp starts it.
// A thread that is never woken holds no goroutine and needs no Stop.
//
// Kernel: kthread_create
//
// Differs: cannot fail, as memory and a killed creator are no issue here. A thread has no parent.
func Create(name string, fn func(*Current) error) *Thread {
	t := newThread(name, fn)
	if t.profiled {
		runtime.AddCleanup(t, func(pid int) { profile.Remove(pid) }, t.pid) // should it never run
	}
	return t
}

func newThread(name string, fn func(*Current) error) *Thread {
	if fn == nil {
		panic("kthread: a thread needs a function")
	}
	t := &Thread{
		label: labelOf(name),
		born:  time.Now(),
		fn:    fn,
	}
	t.gone.shut()
	t.cur.t = t
	t.task.SetState(waitqueue.Uninterruptible)
	watch.Over(&t.task) // for a tracer it is a sleep of the creator
	threads.add(t)
	return t
}

// A label is a name, and the profiler labels of a goroutine that has it.
type label struct {
	name string
	ctx  context.Context
}

var lastLabel atomic.Pointer[label]

// labelOf returns the label for the name of a thread.
//
// Optimization: it keeps the last label, because threads with one name are often
// created in a row.
func labelOf(name string) *label {
	l := lastLabel.Load()
	if l == nil || l.name != name {
		l = &label{name, pprof.WithLabels(context.Background(), pprof.Labels("kthread", name))}
		lastLabel.Store(l)
	}
	return l
}

// Run makes a thread and lets it run. It does not wait for anything: if a Stop
// comes at once, fn may never be called. Use [Start] if setting up can fail.
//
// Kernel: kthread_run, kernel_thread
//
// Differs: kthread_run: cannot fail, as Create.
//
// Differs: kernel_thread: gives a pid, not a handle, and no way to stop.
func Run(name string, fn func(*Current) error) *Thread {
	t := newThread(name, fn)
	t.WakeUp()
	return t
}

// Start makes a thread, lets it run, and blocks until fn has called
// [Current.Ready]. If fn ends before that, Start returns a nil Thread and the
// error of fn. If fn had no error, the error says that fn was not ready.
//
// ctx bounds only the handshake. If it ends before the thread is ready, Start
// asks the thread to stop, and returns it along with an error as from
// [Thread.Wait]. The caller can Wait for the end of the thread.
//
// Kernel: start_kthread, of the drivers that came before kthread_run
//
// Differs: a context ends the wait, and so does an error of the thread.
func Start(ctx context.Context, name string, fn func(*Current) error) (*Thread, error) {
	t := newThread(name, fn)
	t.ready.shut()
	t.awaited = true
	t.WakeUp()
	if err := t.ready.wait(ctx); err != nil {
		t.AskStop(nil)
		return t, err
	}
	if t.readied.Load() {
		return t, nil
	}
	if err := t.wait(context.Background()); err != nil { // it is on its way out
		return nil, err
	}
	return nil, errNotReady
}

// Name returns the whole name that the thread was created with. Only comm is cut
// to 15 bytes, here and in the kernel: see [Info.Comm].
//
// Kernel: get_kthread_comm
func (t *Thread) Name() string { return t.label.name }

// WakeUp starts a thread that has not run yet, or wakes it from its sleep. It
// reports whether it did either. The sleeps of [Current] test their condition
// again and go on. A parked thread is not woken.
//
// Kernel: wake_up_process
//
// Differs: does not reach a wait with a context, nor one in Stop or Flush. These do not sleep with the thread's Task.
func (t *Thread) WakeUp() bool {
	if on := watch.On(); on != nil && !t.begun.Load() {
		on.Born(t.watched())
	}
	woken := t.task.WakeUp(waitqueue.Normal)
	if !t.begun.Load() && t.begun.CompareAndSwap(false, true) {
		go t.main()
	}
	return woken
}

// Stop asks the thread to stop, waits until it is gone, and returns the error
// of its function. It may be called any number of times, from any number of
// goroutines, also when the thread has ended: each call returns that error.
//
//   - If the thread has not run yet, its function is never called, and the error
//     matches [syscall.EINTR].
//   - A parked thread is unparked. If it parked before its first run, it calls
//     its function, which finds that it should stop.
//   - If the function called [runtime.Goexit], the error says so.
//   - If [Thread.AskStop] gave a reason before, the error matches the reason too.
//   - If the thread itself calls Stop, it is asked, and the error matches
//     [syscall.EDEADLK].
//
// A call of the thread itself is recognized by its goroutine. It is not noticed, and waits
// for ever, in these cases:
//
//   - The call is in an iterator that the thread drives by [iter.Pull]. It runs on
//     another goroutine.
//   - The processor is not amd64, arm64, 386 or arm, and the program is built without the
//     texts that the Go runtime prints.
//
// Kernel: kthread_stop
//
// Differs: a second stop is allowed, and a thread that stops itself gets an error. There both hang.
func (t *Thread) Stop() error { return t.StopContext(context.Background()) }

// StopContext is Stop that waits no longer than ctx lives. If ctx ends first,
// the thread remains asked to stop, and the error is as from [Thread.Wait].
//
// Kernel: kthread_stop
//
// Differs: the kernel's wait cannot be ended.
func (t *Thread) StopContext(ctx context.Context) error {
	t.AskStop(nil)
	return t.Wait(ctx)
}

// Wait waits until the thread is gone, without asking it to stop, and returns
// the error of its function.
//
// If ctx ends first, the error matches [syscall.EINTR], or [syscall.ETIMEDOUT] if
// a deadline ended it. It also matches ctx.Err() and [context.Cause], as an error of
// [waitqueue.ContextErr] does. A thread that is gone beats a ctx that has ended.
//
// After [Thread.StopWith], one context can end both the thread and this wait. The error of a
// thread that was stopped for that matches [ErrStopped]. If the wait ends first, the error
// does not match it, and the thread is on its way out. To get the thread's error, give Wait a
// context that goes on. If ctx is the context of another thread, both errors match ErrStopped.
// Then [Thread.Done] tells whether the thread is gone.
//
// If the thread itself calls Wait, the error matches [syscall.EDEADLK], except where
// [Thread.Stop] says that the call is not noticed.
//
// If the Done channel of ctx is closed while its Err is nil, which package context
// does not allow, the error says so. This holds for all methods that wait with a ctx.
//
// Kernel: wait_for_completion on the thread's exit
func (t *Thread) Wait(ctx context.Context) error {
	if t.isCaller() {
		return errDeadlock
	}
	return t.wait(ctx)
}

func (t *Thread) wait(ctx context.Context) error {
	err := t.gone.wait(ctx)
	if err != nil && t.isOver() {
		// The end is past its last obstacle:
		//	thread: close Done
		//	waiter: see that, wait with an ended ctx, and give up
		//	thread: open gone
		err = t.gone.wait(context.Background())
	}
	if err != nil {
		return err
	}
	return t.err
}

// Done returns a channel that is closed when the thread is gone, for select
// statements. It is the same channel at every call. The first call makes it, so
// it belongs to the bubble of its caller. This must be the thread's own bubble,
// because the thread closes it.
func (t *Thread) Done() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done == nil {
		t.done = make(chan struct{})
		if t.over {
			close(t.done)
		}
	}
	return t.done
}

func (t *Thread) isOver() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.over
}

// main is the goroutine of the thread.
func (t *Thread) main() {
	t.self.Store(self())
	if on := watch.On(); on != nil {
		on.Begin(t.watched())
	}
	point.At("begin", t)
	returned := false
	defer func() {
		if !returned {
			// No waiter may hear of an end that is the end of the program. It
			// would run on, and could exit before the panic is printed.
			if r := recover(); r != nil {
				panic(r)
			}
			t.err = t.withReason(errGoexit)
		}
		t.exit()
	}()
	t.err = t.withReason(t.run())
	returned = true
}

func (t *Thread) run() error {
	pprof.SetGoroutineLabels(t.label.ctx)
	if t.stop.Load() != nil {
		return errNeverRan
	}
	t.parkMe()
	return t.fn(&t.cur)
}

// exit completes every handshake. First it sets exited, so that later requests
// are refused. Then it answers the earlier ones.
func (t *Thread) exit() {
	t.task.SetState(waitqueue.Dead) // it never sleeps again, though a sleep may be announced
	t.mu.Lock()
	t.exited = true
	cancel, ties := t.cancel, t.ties
	t.ties = nil
	t.mu.Unlock()
	point.At("exited", t)
	if p := t.parking.Swap(nil); p != nil {
		p.answer(errParkExited)
	}
	if cancel != nil {
		cancel(t.cause()) // if a stop is asked, its own cancel may have yet to come
	}
	for _, untie := range ties {
		untie()
	}
	atExit := t.atExit
	t.letGo()
	threads.remove(t)
	if atExit != nil { // a pool without members has no thread in the list
		atExit()
	}
	if t.awaited && !t.readied.Load() {
		t.ready.open()
	}
	t.finish()
}

// letGo drops the function, the queues and the pool of a thread that is gone. A handle that
// is kept would keep them alive.
func (t *Thread) letGo() {
	t.fn, t.atExit, t.cur.shown = nil, nil, nil
	if t.member != nil { // Optimization: most threads are in no pool; only this writes member.
		t.mu.Lock()
		t.member = nil
		t.mu.Unlock()
	}
}

// finish tells the waiters that the thread is gone. Done is closed first: a
// caller whose Stop has returned must find it closed.
func (t *Thread) finish() {
	watch.Exit(&t.task) // after the last wake-up by the thread
	t.mu.Lock()
	t.over = true
	if t.done != nil {
		close(t.done)
	}
	t.mu.Unlock()
	point.At("done is closed", t)
	t.gone.open()
}
