// Monitor-and-helper is a kernel module with two threads. The monitor notices
// that a data structure is in trouble, and wakes the other thread. That thread
// starts a program of the user, whose path is in a sysctl.
//
// The argument is the path of another helper.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kprim/kprim/examples/internal/printk"
	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/usermodehelper"
	"github.com/kprim/kprim/waitqueue"
)

// Numbers, because not every system has names for these signals.
const sighup, sigpipe = syscall.Signal(1), syscall.Signal(13)

func main() {
	// Ctrl-C and the end of the terminal do not reach the helper, which has a
	// process group of its own. So ctx ends the helper. SIGPIPE is here too,
	// because a reader that leaves, as head does, must not leave a helper.
	ctx, stop := signal.NotifyContext(context.Background(),
		os.Interrupt, syscall.SIGTERM, sighup, sigpipe)
	defer stop()
	if err := session(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "monitor-and-helper:", err)
		os.Exit(1)
	}
}

var patience = 5 * time.Second // with a helper

// A module is test.ko with its global variables.
type module struct {
	*printk.Log
	cpu onecpu.CPU // the article's machine had one

	// DECLARE_WAIT_QUEUE_HEAD(myevent_waitqueue), rwlock_t myevent_lock,
	// unsigned int myevent_id
	myevent rwevent.Slot[uint]

	handler *sysctl.Var[string] // extern char myevent_handler[]
	threads []*kthread.Thread
	ctx     context.Context // of the helper
	helper  chan error      // the result of the helper
}

func newModule(
	ctx context.Context, w io.Writer, h *sysctl.Var[string],
) *module {
	helper := make(chan error, 1)
	return &module{Log: printk.New(w), handler: h, ctx: ctx, helper: helper}
}

// load is hello_init.
func (m *module) load() {
	m.cpu.Lock()
	defer m.cpu.Unlock()
	m.Printk("Hello, I am a test module\n")
	m.Printk("create mythread <---------<\n")
	// kthread_run(mykthread, NULL, "josephthread")
	m.threads = append(m.threads, kthread.Run("josephthread", m.mykthread))
	m.createMonitor()
}

// createMonitor is create_monitor.
func (m *module) createMonitor() {
	m.Printk("create monitor <---------<\n")
	// kthread_run(monitor, NULL, "josephmonitor")
	m.threads = append(m.threads, kthread.Run("josephmonitor", m.monitor))
}

// mykthread sleeps until an event is posted, and starts the helper for it.
func (m *module) mykthread(cur *kthread.Current) error {
	m.cpu.Lock()
	defer m.cpu.Unlock()
	task, queue := cur.Task(), m.myevent.WaitQueue()
	wait := waitqueue.Entry{Task: task} // DECLARE_WAITQUEUE(wait, current)
	// allow_signal(SIGKILL)
	if err := cur.Allow(syscall.SIGKILL); err != nil {
		return err
	}
	queue.Add(&wait) // add_wait_queue(&myevent_waitqueue, &wait)
	id, posted := uint(0), false
	for {
		// set_current_state(TASK_INTERRUPTIBLE)
		task.SetState(waitqueue.Interruptible)
		// The test comes before the sleep. The article tests after it only: if
		// the monitor was quicker, no other wake-up comes.
		//
		// read_lock(&myevent_lock), if (myevent_id), event_id = myevent_id,
		// read_unlock(&myevent_lock)
		id, posted = m.myevent.TryTake()
		if posted || cur.Interrupted() { // if (signal_pending(current)) break
			break
		}
		m.cpu.Schedule(task) // schedule()
	}
	// Running, before the helper's start, which sleeps for another reason.
	task.SetState(waitqueue.Running) // set_current_state(TASK_RUNNING)
	// remove_wait_queue(&myevent_waitqueue, &wait)
	queue.Remove(&wait)

	err := errors.New("josephthread was killed before an event came")
	if posted {
		// The lock of the event is free: a holder of a spinning lock may not
		// sleep.
		err = m.runUmodeHandler(id) // run_umode_handler(event_id)
	}
	m.Printk("josephthread out\n")
	return err
}

// monitor finds the trouble.
func (m *module) monitor(cur *kthread.Current) error {
	m.cpu.Lock()
	defer m.cpu.Unlock()
	if err := cur.Allow(syscall.SIGKILL); err != nil { // allow_signal(SIGKILL)
		return err
	}
	// write_lock(&myevent_lock), myevent_id = 9527,
	// write_unlock(&myevent_lock), wake_up_interruptible(&myevent_waitqueue)
	err := m.myevent.Post(9527)
	m.Printk("monitor out\n")
	return err
}

// runUmodeHandler is run_umode_handler. It returns when the helper runs, which
// is long before the helper ends.
func (m *module) runUmodeHandler(id uint) (err error) {
	m.Printk("run_umode_handler is starting...\n")
	path := m.handler.Load() // char *argv[2] = { myevent_handler, NULL }
	// The article has if (!argv[0]) return here. That never holds, because it
	// is the address of an array.
	if path == "" {
		return errors.New("no handler is registered")
	}
	m.Printk("argv[0] is %s\n", path)
	ctx, cancel := context.WithTimeout(m.ctx, patience)
	helper := usermodehelper.Helper{
		Path: path,
		Argv: []string{path},
		// sprintf(buffer, "TROUBLED_DS=%d", event_id), envp[2] = buffer
		Envp: usermodehelper.Environ(fmt.Sprintf("TROUBLED_DS=%d", id)),
		Cleanup: func(r usermodehelper.Result) {
			cancel()
			m.helper <- r.Failure()
		},
	}
	// value = call_usermodehelper(argv[0], argv, envp, UMH_WAIT_EXEC)
	m.cpu.Sleep(func() { _, err = helper.Exec(ctx, usermodehelper.WaitExec) })
	return err
}

// unload is hello_exit. The article stops no thread.
func (m *module) unload() {
	for _, t := range m.threads {
		_ = t.Stop() // kthread_stop(thread)
	}
	m.Printk("bye, my dear!\n cruel world\n")
}
