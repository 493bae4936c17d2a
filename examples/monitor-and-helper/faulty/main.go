// Faulty is the module of article 1 with the loop as it is printed there: the
// thread sleeps before it tests for the event. It works while the thread comes
// first. If the monitor comes first, the thread sleeps for ever.
package main

import (
	"context"
	"errors"
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
		fmt.Fprintln(os.Stderr, "monitor-and-helper/faulty:", err)
		os.Exit(1)
	}
}

var patience = 5 * time.Second // with a helper

// A module is test.ko with its global variables.
type module struct {
	*printk.Log
	cpu   onecpu.CPU // the article's machine had one
	shell *shell.Shell
	ctx   context.Context // of the helper

	testFirst bool // module_param(test_first, bool, 0)

	queue waitqueue.Queue // DECLARE_WAIT_QUEUE_HEAD(myevent_waitqueue)
	lock  sync.RWMutex    // rwlock_t myevent_lock
	id    uint            // unsigned int myevent_id, guarded by lock

	thread  *kthread.Thread // of mykthread
	poster  *kthread.Thread // of monitor
	started chan error      // the result of the helper's start
	ended   chan error      // the result of the helper
}

func newModule(ctx context.Context, sh *shell.Shell) *module {
	return &module{
		Log:     printk.New(sh),
		shell:   sh,
		ctx:     ctx,
		started: make(chan error, 1),
		ended:   make(chan error, 1),
	}
}

// load is hello_init. It returns when each thread sleeps or has ended, or when
// the helper is about to be started.
func (m *module) load(postFirst bool) {
	m.cpu.Lock()
	defer m.cpu.Unlock()
	m.Printk("Hello, I am a test module\n")
	if postFirst {
		m.createMonitor()
	}
	m.Printk("create mythread <---------<\n")
	m.thread = m.cpu.Start("josephthread", m.mykthread)
	if !postFirst {
		m.createMonitor()
	}
}

func (m *module) createMonitor() {
	m.Printk("create monitor <---------<\n")
	m.poster = m.cpu.Start("monitor", m.monitor)
}

// mykthread is the article's loop.
func (m *module) mykthread(cur *kthread.Current) error {
	if err := cur.Allow(syscall.SIGKILL); err != nil {
		return err
	}
	task := cur.Task()
	wait := waitqueue.Entry{Task: task}
	m.queue.Add(&wait)
	for {
		task.SetState(waitqueue.Interruptible)
		// The bug: a monitor that was here already has woken no thread, and no
		// other wake-up will come. The article has no test here.
		if !m.testFirst || m.event() == 0 {
			m.cpu.Schedule(task)
		}
		if cur.Interrupted() { // also when the module is unloaded
			break
		}
		if id := m.event(); id != 0 {
			task.SetState(waitqueue.Running) // the helper's start sleeps too
			m.runUmodeHandler(id)
			break
		}
	}
	m.Printk("josephthread out\n")
	task.SetState(waitqueue.Running)
	m.queue.Remove(&wait)
	for !cur.ShouldStop() { // so that ps can show the thread
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

// monitor posts the event, which is first the state and then the wake-up.
func (m *module) monitor(*kthread.Current) error {
	m.lock.Lock()
	m.id = 9527
	m.lock.Unlock()
	m.queue.WakeUpInterruptible()
	m.Printk("monitor out\n")
	return nil
}

// runUmodeHandler is run_umode_handler. It returns when the helper runs.
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
	m.cpu.Sleep(func() {
		_, err = helper.Exec(m.ctx, usermodehelper.WaitExec)
	})
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		m.Printk("call_usermodehelper: %d\n", -int(errno))
	}
	m.started <- err
}

// unload is hello_exit.
func (m *module) unload() {
	_ = m.poster.Stop()
	_ = m.thread.Stop()
	m.Printk("bye, my dear!\n cruel world\n")
}
