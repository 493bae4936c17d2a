// Kthread-loop is a kernel thread that serves events for ever. Parts of the
// kernel find that a data structure of theirs is in trouble; the thread starts
// a program of the user's, named by a sysctl, that sends an alert.
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

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/usermodehelper"
)

func main() {
	// The helper is in a process group of its own, which Ctrl-C does not reach.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := session(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kthread-loop:", err)
		os.Exit(1)
	}
}

// A module is what the article adds to the kernel.
type module struct {
	printk  func(format string, args ...any)
	myevent rwevent.Table[uint, int] // myevent_id, myevent_lock, myevent_waitqueue
	handler *sysctl.String           // myevent_handler, of kernel/sysctl.c
	ctx     context.Context          // of the helpers
	timeout time.Duration            // of each

	thread         *kthread.Thread
	served, failed int // the thread's own until it is gone
}

func newModule(ctx context.Context, console io.Writer, handler *sysctl.String) *module {
	m := &module{
		printk:  log.New(console, "kernel: ", 0).Printf,
		handler: handler,
		ctx:     ctx,
		timeout: 5 * time.Second,
	}
	m.myevent.Queue().Name = "myevent_waitqueue" // as ps shows it
	return m
}

func (m *module) load() {
	// kernel_thread(mykthread, NULL, ...), daemonize("mykthread")
	m.thread = kthread.Run("mykthread", m.mykthread)
}

// mykthread serves one event after the other until it is killed.
func (m *module) mykthread(cur *kthread.Current) error {
	if err := cur.Allow(syscall.SIGKILL); err != nil { // allow_signal(SIGKILL)
		return err
	}
	for {
		// add_wait_queue, set_current_state(TASK_INTERRUPTIBLE), schedule(),
		// if (myevent_id): all in one, and it looks before it sleeps.
		id, free, err := m.myevent.TakeBy(cur)
		if err != nil { // if (signal_pending(current)) break
			m.printk("mykthread: signal_pending")
			return nil
		}
		m.printk("mykthread: %d has %d bytes free", id, free)
		if err := m.runUmodeHandler(id); err != nil {
			m.failed++
			m.printk("mykthread: %d: %v", id, err)
			continue
		}
		m.served++
		m.printk("mykthread: %d is served", id)
	}
}

// runUmodeHandler runs the helper to its end.
func (m *module) runUmodeHandler(id uint) error {
	path := m.handler.Load()                      // argv[0] = myevent_handler
	troubled := fmt.Sprintf("TROUBLED_DS=%d", id) // sprintf(buffer, "TROUBLED_DS=%d", event_id)
	helper := usermodehelper.Helper{
		Path:    path,
		Argv:    []string{path},
		Envp:    usermodehelper.Environ(troubled), // envp[i++] = buffer
		Timeout: m.timeout,
	}
	// call_usermodehelper(argv[0], argv, envp, 0)
	status, err := helper.Exec(m.ctx, usermodehelper.WaitProc)
	if err == nil && status != 0 {
		err = errors.New(status.String())
	}
	return err
}

// A buffer receives what comes from the network.
type buffer struct {
	id   uint
	free int // bytes
}

const lowWatermark = 1024

// receive puts n bytes into b. It is the part of the kernel that finds the
// trouble, and says whether it did.
func (m *module) receive(b *buffer, n int) (posted bool) {
	b.free -= n
	if b.free >= lowWatermark {
		return false
	}
	// myevent_id = id, wake_up_interruptible(&myevent_waitqueue)
	return m.myevent.Post(b.id, b.free) == nil
}
