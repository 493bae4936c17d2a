// Package kthread runs goroutines that have a name, a handshake at their start
// and at their stop, and signals.
//
// It is the kernel's kthread: a named goroutine with a handle. The handle is
// how others speak to the thread, and [Current] is how the thread speaks of
// itself:
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
// A thread must come to its end by itself once it has been asked to stop. All
// its interruptible sleeps end then, so that asking [Current.ShouldStop]
// after each of them is enough.
//
// A thread inherits nothing from its creator: it has a context of its own and
// no profiler labels but its name. A panic in a thread ends the program, as it
// does in any goroutine. [runtime.Goexit] ends the thread only.
//
// # Which tool
//
//   - Use a go statement for work that ends by itself and has no answer.
//   - Use golang.org/x/sync/errgroup for a few tasks that end together.
//   - Use a context for a tree of calls that is given up as a whole.
//   - Use a Thread for a goroutine that lives as long as a component does:
//     set up before it counts as started, asked to stop, gone when Stop returns.
//
// # Signals
//
// A signal is a request to a thread, by number. It is not the process's
// signal of that number, it never kills, and it is lost unless the thread has
// allowed it. While one is pending, interruptible sleeps end at once with an
// error that matches EINTR, until it is taken by [Current.Dequeue], or all are
// dropped by [Current.Flush].
//
// A stop ends sleeps too, and cannot be flushed. Its error is [ErrStopped],
// which matches EINTR as well: so ask for the stop first.
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
// A parked thread sleeps at a place of its choice until it is unparked. It is
// asked by [Thread.Park], and has to look, as for a stop:
//
//	for !cur.ShouldStop() {
//		cur.ParkMe() // returns at once if it is not asked
//		cur.Wait(&queue, func() bool { return ready() || cur.ShouldPark() })
//		...
//	}
//
// # Works
//
// A [Worker] is a thread that runs functions, one after the other. They can be
// waited for, cancelled, and delayed.
//
// # Watching
//
// [Tasks] lists the threads, and what each does. In goroutine profiles a thread
// has the label kthread, its name, and while it sleeps on a queue with a name,
// the label wchan. After [SetProfile] the profile "kthread" of runtime/pprof
// shows who created the threads that are not gone.
//
// # Bubbles of testing/synctest
//
// A thread belongs to the bubble in which it was created, and only goroutines
// of that bubble may stop, signal, wake or wait for it.
//
// # What is defined here, and not in the kernel
//
//   - A second stop returns what the first one did; the kernel hangs.
//   - A thread that would wait for itself, or a work for its own worker, is told
//     so by EDEADLK; the kernel hangs.
//   - Park of a thread that ends without having parked returns ENOSYS, and one
//     that is unparked or stopped before EINTR; the kernel hangs.
//   - Flush of a delayed work whose time has not come runs it; the kernel hangs.
//   - A work that is used with a second worker panics; the kernel warns.
//
// # What cannot be as in the kernel
//
//   - Creation cannot be interrupted: it waits for nobody. (Start can.)
//   - No signal kills a thread, and there is no killable sleep.
//   - Nobody can be parked or stopped who does not look: Go does not preempt.
//
// Kernel: include/linux/kthread.h, kernel/kthread.c
package kthread

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kprim/kprim/waitqueue"
)

// ErrStopped is what ends the sleeps of a thread that was asked to stop, and
// the cause that ends its context. It matches [syscall.EINTR] with
// [errors.Is].
var ErrStopped = fmt.Errorf("kthread: asked to stop: %w", syscall.EINTR)

// The results of a thread whose function did not return one.
var (
	errNeverRan = fmt.Errorf("kthread: stopped before its first run: %w", syscall.EINTR)
	errGoexit   = errors.New("kthread: the function called runtime.Goexit")
	errNotReady = errors.New("kthread: the function returned before it was ready")
)

// A Thread is the handle of a thread. Its methods may be called from any
// goroutine. Stop and Wait, called by the thread itself, return an error that
// matches [syscall.EDEADLK]; not in the condition of a wait, which must not
// block.
//
// Kernel: struct task_struct of a kthread, struct kthread
type Thread struct {
	pid      int
	name     string
	born     time.Time
	fn       func(*Current) error
	task     waitqueue.Task
	begun    atomic.Bool
	place    *place // in the list; written before the thread is shared, as is the next
	profiled bool
	label    context.Context // of the goroutine, as package pprof wants it
	ended    func()          // if not nil, called at the end, whether fn ran or not

	stop    atomic.Bool           // set once, and never cleared
	parking atomic.Pointer[reply] // the request to park, or nil

	mu      sync.Mutex
	allowed uint64                  // signals, a bit each; guarded by mu
	pending uint64                  // likewise; guarded by mu
	ctx     context.Context         // made when asked for; guarded by mu
	cancel  context.CancelCauseFunc // of ctx; guarded by mu
	exited  bool                    // guarded by mu
	// Lock order: mu before the task's.

	readied atomic.Bool   // the function called Ready; written before ready opens
	ready   gate          // if awaited
	awaited bool          // written before the thread is shared
	done    chan struct{} // the handshake of the end; select needs it, so it is not a gate
	err     error         // written once before done is closed

	cur Current // for fn
}

// Create makes a thread that does not run yet. The first WakeUp starts it.
// A thread that is never woken holds no goroutine and needs no Stop.
//
// Kernel: kthread_create
//
// Differs: cannot fail, as memory and a killed creator are no issue here.
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
		name:  name,
		born:  time.Now(),
		fn:    fn,
		label: labelOf(name),
		done:  make(chan struct{}),
	}
	t.cur.t = t
	t.task.SetState(waitqueue.Uninterruptible)
	threads.add(t)
	return t
}

// A label is the profiler label of the threads of a name.
type label struct {
	name string
	ctx  context.Context
}

var lastLabel atomic.Pointer[label]

// labelOf returns the label of that name. Threads of one name are often created
// in a row.
func labelOf(name string) context.Context {
	l := lastLabel.Load()
	if l == nil || l.name != name {
		l = &label{name, pprof.WithLabels(context.Background(), pprof.Labels("kthread", name))}
		lastLabel.Store(l)
	}
	return l.ctx
}

// Run makes a thread and lets it run. It does not wait for anything: if a Stop
// comes at once, fn may never be called. Use [Start] if setting up can fail.
//
// Kernel: kthread_run, kernel_thread
//
// Differs: kernel_thread has no handle, and no way to stop.
func Run(name string, fn func(*Current) error) *Thread {
	t := newThread(name, fn)
	t.WakeUp()
	return t
}

// Start makes a thread, lets it run, and blocks until fn has called
// [Current.Ready]. If fn ends before that, Start returns a nil Thread and the
// error of fn, or an error that says so if fn had none.
//
// ctx bounds only the handshake. If it ends before the thread is ready, the
// thread has been asked to stop, and Start returns it along with the error of
// [waitqueue.ContextErr], so that the caller can Wait for its end.
//
// Kernel: start_kthread of the drivers that came before kthread_run
func Start(ctx context.Context, name string, fn func(*Current) error) (*Thread, error) {
	t := newThread(name, fn)
	t.ready.shut()
	t.awaited = true
	t.WakeUp()
	if err := t.ready.wait(ctx); err != nil {
		t.askStop()
		return t, err
	}
	if t.readied.Load() {
		return t, nil
	}
	if err := t.Wait(context.Background()); err != nil { // it is on its way out
		return nil, err
	}
	return nil, errNotReady
}

// Name returns the name that the thread was created with. Where it is listed,
// it is cut to 15 bytes: see [Info.Comm].
//
// Kernel: get_kthread_comm
func (t *Thread) Name() string { return t.name }

// WakeUp starts a thread that has not run yet, or wakes it from its sleep. It
// reports whether it did either. The sleeps of [Current] test their condition
// again and go on. A parked thread is not woken.
//
// Kernel: wake_up_process
func (t *Thread) WakeUp() bool {
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
// If the thread has not run yet, its function is never called, and the error
// matches [syscall.EINTR]. A parked thread is unparked; one that parked before
// its first run calls its function, which finds that it should stop. If the
// function called [runtime.Goexit], the error says so. Called by the thread
// itself, Stop asks, and returns an error that matches [syscall.EDEADLK].
//
// Kernel: kthread_stop
//
// Differs: a second stop is allowed.
func (t *Thread) Stop() error { return t.StopContext(context.Background()) }

// StopContext is Stop that waits no longer than ctx lives. If ctx ends first,
// the thread remains asked to stop, and the error is that of
// [waitqueue.ContextErr].
//
// Kernel: kthread_stop
//
// Differs: the kernel's wait cannot be ended.
func (t *Thread) StopContext(ctx context.Context) error {
	self := t.isCaller() // before it is woken: one that sleeps is not the caller
	t.askStop()
	if self {
		return errDeadlock
	}
	return t.wait(ctx)
}

// Wait waits until the thread is gone, without asking it to stop, and returns
// the error of its function. If ctx ends first, the error is that of
// [waitqueue.ContextErr]; a thread that is gone beats a ctx that has ended.
// Called by the thread itself, it returns an error that matches
// [syscall.EDEADLK].
//
// Kernel: wait_for_completion on the thread's exit
func (t *Thread) Wait(ctx context.Context) error {
	if t.isCaller() {
		return errDeadlock
	}
	return t.wait(ctx)
}

func (t *Thread) wait(ctx context.Context) error {
	select {
	case <-t.done:
		return t.err
	case <-ctx.Done():
	}
	select { // of two that have come, always the end
	case <-t.done:
		return t.err
	default:
		return waitqueue.ContextErr(ctx)
	}
}

// Done returns a channel that is closed when the thread is gone, for select
// statements. It is the same channel at every call.
func (t *Thread) Done() <-chan struct{} { return t.done }

// askStop makes the thread's sleeps end and its ShouldStop true. The flag is
// set before the thread is woken: a thread that was woken first could test it,
// find it clear, and go back to sleep for ever.
func (t *Thread) askStop() {
	t.stop.Store(true)
	at("stop flag is set")
	t.mu.Lock()
	t.task.Interrupt()
	cancel := t.cancel
	t.mu.Unlock()
	if cancel != nil {
		cancel(ErrStopped)
	}
	t.Unpark()
	at("unparked for the stop")
	t.WakeUp()
}

// main is the thread's goroutine.
func (t *Thread) main() {
	at("begin")
	returned := false
	defer func() {
		if !returned {
			// Nobody may hear of an end that is the end of the program: a
			// waiter that ran on could even exit before the panic is printed.
			if r := recover(); r != nil {
				panic(r)
			}
			t.err = errGoexit
		}
		t.exit()
	}()
	t.err = t.run()
	returned = true
}

func (t *Thread) run() error {
	pprof.SetGoroutineLabels(t.label)
	if t.stop.Load() {
		return errNeverRan
	}
	t.parkMe()
	return t.fn(&t.cur)
}

// exit completes every handshake. Who asks for something from now on is told
// that the thread is gone, and who asked before gets the answer here.
func (t *Thread) exit() {
	t.task.SetState(waitqueue.Dead) // it never sleeps again, whatever it had announced
	t.mu.Lock()
	t.exited = true
	cancel := t.cancel
	t.mu.Unlock()
	at("exited")
	if p := t.parking.Swap(nil); p != nil {
		p.answer(errParkExited)
	}
	if cancel != nil {
		var cause error
		if t.stop.Load() { // and its own cancel has yet to come
			cause = ErrStopped
		}
		cancel(cause)
	}
	if t.ended != nil {
		t.ended()
	}
	threads.remove(t)
	if t.awaited {
		t.ready.open()
	}
	close(t.done)
}
