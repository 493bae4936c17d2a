// Monitor-and-helper is a kernel module with two threads. One notices that a
// data structure is in trouble. It wakes the other, which starts a program of
// the user's, named by a sysctl, to deal with it.
//
// The argument is the path of a helper to use in place of the one that comes
// with the program.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kprim/kprim/examples/internal/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/usermodehelper"
	"github.com/kprim/kprim/waitqueue"
)

func main() {
	// The helper is in a process group of its own, which Ctrl-C does not reach.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := session(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "monitor-and-helper:", err)
		os.Exit(1)
	}
}

// A module is test.ko: what its C file has as global variables.
type module struct {
	printk  func(format string, args ...any)
	cpu     onecpu.CPU         // the articles' machine had one
	myevent rwevent.Slot[uint] // myevent_id, myevent_lock, myevent_waitqueue
	handler *sysctl.String     // myevent_handler, of kernel/sysctl.c

	threads []*kthread.Thread
	ctx     context.Context // of the helper
	helper  chan error      // how the helper ended
}

func newModule(ctx context.Context, out io.Writer, handler *sysctl.String) *module {
	return &module{
		ctx:     ctx,
		printk:  log.New(out, "kernel: ", 0).Printf,
		handler: handler,
		helper:  make(chan error, 1),
	}
}

// load is hello_init.
func (m *module) load() {
	m.cpu.Lock()
	defer m.cpu.Unlock()
	m.printk("Hello, I am a test module")
	m.printk("create mythread <---------<")
	m.threads = append(m.threads, kthread.Run("josephthread", m.mykthread))
	m.printk("create monitor <---------<")
	m.threads = append(m.threads, kthread.Run("josephmonitor", m.monitor))
}

// mykthread sleeps until an event is posted, and has it dealt with.
func (m *module) mykthread(cur *kthread.Current) error {
	m.cpu.Lock()
	defer m.cpu.Unlock()
	task, queue := cur.Task(), m.myevent.Queue()
	wait := waitqueue.Entry{Task: task}                // DECLARE_WAITQUEUE(wait, current)
	if err := cur.Allow(syscall.SIGKILL); err != nil { // allow_signal(SIGKILL)
		return err
	}
	queue.Add(&wait) // add_wait_queue(&myevent_waitqueue, &wait)
	var id uint
	for {
		task.SetState(waitqueue.Interruptible) // set_current_state(TASK_INTERRUPTIBLE)
		// The article tests only after schedule(), and sleeps for ever if the
		// monitor was here before it.
		var posted bool
		id, posted = m.myevent.TryTake() // read_lock, if (myevent_id), read_unlock
		if posted || cur.Pending() {     // if (signal_pending(current)) break
			break
		}
		m.cpu.Sleep(task.Schedule) // schedule()
	}
	task.SetState(waitqueue.Running) // set_current_state(TASK_RUNNING)
	queue.Remove(&wait)              // remove_wait_queue(&myevent_waitqueue, &wait)

	err := errors.New("josephthread was killed before an event came")
	if id != 0 {
		err = m.runUmodeHandler(id) // the lock is free: the helper may take long
	}
	m.printk("josephthread out")
	return err
}

// monitor finds the trouble.
func (m *module) monitor(cur *kthread.Current) error {
	m.cpu.Lock()
	defer m.cpu.Unlock()
	if err := cur.Allow(syscall.SIGKILL); err != nil { // allow_signal(SIGKILL)
		return err
	}
	m.myevent.Post(9527) // write_lock ... write_unlock, wake_up_interruptible
	m.printk("monitor out")
	return nil
}

// runUmodeHandler starts the helper. It returns when the helper runs, which
// is long before it has ended.
func (m *module) runUmodeHandler(id uint) (err error) {
	m.printk("run_umode_handler is starting...")
	path := m.handler.Load()
	if path == "" {
		return errors.New("no handler is registered")
	}
	m.printk("argv[0] is %s", path)
	ctx, cancel := context.WithTimeout(m.ctx, 5*time.Second)
	helper := usermodehelper.Helper{
		Path: path,
		Argv: []string{path},
		Envp: usermodehelper.Environ(fmt.Sprintf("TROUBLED_DS=%d", id)),
		Cleanup: func(status usermodehelper.Status, err error) {
			cancel()
			if err == nil && status != 0 {
				err = fmt.Errorf("helper %s: %v", path, status)
			}
			m.helper <- err
		},
	}
	m.cpu.Sleep(func() { // call_usermodehelper(argv[0], argv, envp, 0)
		_, err = helper.Exec(ctx, usermodehelper.WaitExec)
	})
	return err
}

// unload is hello_exit, which forgot the threads.
func (m *module) unload() {
	for _, t := range m.threads {
		_ = t.Stop()
	}
	m.printk("bye, my dear!")
	m.printk(" cruel world")
}
