// Faulty is the thread of article 2 with the loop as it is printed there. The
// loop sleeps before it tests, never clears the event, and has room for one.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/kprim/kprim/examples/internal/printk"
	"github.com/kprim/kprim/examples/internal/shell"
	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/usermodehelper"
	"github.com/kprim/kprim/waitqueue"
)

func main() {
	// Ctrl-C and a closed pipe end the program in order.
	const sigpipe = syscall.Signal(13) // not every system has a name for it
	ctx, stop := signal.NotifyContext(context.Background(),
		os.Interrupt, syscall.SIGTERM, sigpipe)
	defer stop()
	if err := session(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "kthread-loop/faulty:", err)
		os.Exit(1)
	}
}

var patience = 5 * time.Second // with a helper

// A module is mykthread.ko with its global variables.
type module struct {
	*printk.Log
	cpu   onecpu.CPU
	shell *shell.Shell
	ctx   context.Context // of the helpers

	wait usermodehelper.Mode // module_param_named(wait, wait_for, int, 0)

	queue waitqueue.Queue // DECLARE_WAIT_QUEUE_HEAD(myevent_waitqueue)
	lock  sync.RWMutex    // DEFINE_RWLOCK(myevent_lock)
	id    uint            // unsigned int myevent_id, guarded by lock

	thread   *kthread.Thread
	returned chan error // the result of each call of the helper
	ended    chan error // the result of each helper
	out      chan bool  // closed when the loop has ended
}

func newModule(ctx context.Context, sh *shell.Shell) *module {
	return &module{
		Log:      printk.New(sh),
		shell:    sh,
		ctx:      ctx,
		wait:     usermodehelper.WaitExec,
		returned: make(chan error, 1),
		ended:    make(chan error, 1),
		out:      make(chan bool),
	}
}

// load returns when the thread sleeps. It has the CPU then.
func (m *module) load() {
	m.cpu.Lock()
	m.thread = m.cpu.Start("mykthread", m.mykthread)
}

// mykthread is the article's loop.
func (m *module) mykthread(cur *kthread.Current) error {
	if err := cur.Allow(syscall.SIGKILL); err != nil {
		return err
	}
	task := cur.Task()
	wait := waitqueue.Entry{Task: task, Func: m.cpu.Enqueue}
	m.queue.Add(&wait)
	for {
		task.SetState(waitqueue.Interruptible)
		// The bug: an event that was posted while the thread was awake has
		// woken no thread. The article has no test here.
		m.cpu.Schedule(task)
		if cur.Interrupted() { // also when the module is unloaded
			break
		}
		// The second bug: the event stays, so a stray wake-up finds it again.
		id := m.event()
		m.Printk("mykthread: awake, event %d\n", id)
		if id != 0 {
			m.runUmodeHandler(id)
		}
	}
	task.SetState(waitqueue.Running)
	m.queue.Remove(&wait)
	stopping := 0
	if cur.ShouldStop() {
		stopping = 1
	}
	m.Printk("mykthread: out, kthread_should_stop %d\n", stopping)
	close(m.out)
	for !cur.ShouldStop() { // so that ps can show the thread
		cur.Flush() // a pending signal would end every sleep
		task.SetState(waitqueue.Interruptible)
		m.cpu.Schedule(task)
	}
	return nil
}

func (m *module) event() uint {
	m.lock.RLock()
	defer m.lock.RUnlock()
	return m.id
}

// post overwrites the last event: the third bug. The caller has the CPU.
func (m *module) post(id uint) {
	m.lock.Lock()
	m.id = id
	m.lock.Unlock()
	m.Printk("posted %d\n", id)
	m.queue.WakeUpInterruptible()
}

// strayWakeUp wakes the thread without an event. The caller has the CPU.
func (m *module) strayWakeUp() {
	m.Printk("stray wake-up\n")
	m.queue.WakeUpInterruptible()
}

// runUmodeHandler is run_umode_handler.
func (m *module) runUmodeHandler(id uint) {
	m.Printk("run_umode_handler is starting...\n")
	path := m.shell.Handler.Load()
	m.Printk("argv[0] is %s\n", path)
	helper := usermodehelper.Helper{
		Path:    path,
		Argv:    []string{path},
		Envp:    usermodehelper.Environ(fmt.Sprintf("TROUBLED_DS=%d", id)),
		Timeout: patience,
		Cleanup: func(r usermodehelper.Result) { m.ended <- r.Failure() },
	}
	var err error
	m.cpu.Sleep(func() { _, err = helper.Exec(m.ctx, m.wait) })
	m.returned <- err
}
