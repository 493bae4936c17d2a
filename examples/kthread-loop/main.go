// Kthread-loop is a kernel thread that serves events for ever. Parts of the
// kernel find that one of their data structures is in trouble. The thread then
// starts a program of the user, whose path is in a sysctl, to send an alert.
//
// The alerts go to a file. With the argument -mail they go to root by mail too.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kprim/kprim/examples/internal/printk"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/usermodehelper"
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
		fmt.Fprintln(os.Stderr, "kthread-loop:", err)
		os.Exit(1)
	}
}

// A screen remembers the first error of a write. The code that prints does not
// look at errors.
type screen struct {
	io.Writer
	err error
}

func (s *screen) Write(text []byte) (int, error) {
	n, err := s.Writer.Write(text)
	s.err = cmp.Or(s.err, err)
	return n, err
}

var patience = 5 * time.Second // with a helper

// A module is mykthread.ko with its global variables.
type module struct {
	*printk.Log

	// DECLARE_WAIT_QUEUE_HEAD(myevent_waitqueue), DEFINE_RWLOCK(myevent_lock),
	// unsigned int myevent_id
	myevent rwevent.Table[uint, int]

	handler *sysctl.Var[string] // static char myevent_handler[256]
	ctx     context.Context     // of the helpers
	timeout time.Duration       // of each

	thread         *kthread.Thread
	served, failed int // only the thread uses them until it ends
}

func newModule(
	ctx context.Context, w io.Writer, h *sysctl.Var[string],
) *module {
	m := &module{
		Log:     printk.New(w),
		handler: h,
		ctx:     ctx,
		timeout: patience,
	}
	m.myevent.WaitQueue().Name = "myevent_waitqueue" // as ps shows it
	return m
}

// load is mykthread_init.
func (m *module) load() {
	// kthread_run(mykthread, NULL, "mykthread")
	m.thread = kthread.Run("mykthread", m.mykthread)
}

// mykthread serves one event after the other until it gets SIGKILL.
func (m *module) mykthread(cur *kthread.Current) error {
	// allow_signal(SIGKILL)
	if err := cur.Allow(syscall.SIGKILL); err != nil {
		return err
	}
	for {
		// TakeBy tests before each sleep. The article's loop sleeps first: an
		// event that was posted while it was awake wakes no thread.
		//
		// add_wait_queue(&myevent_waitqueue, &wait),
		// set_current_state(TASK_INTERRUPTIBLE), schedule(),
		// read_lock(&myevent_lock), event_id = myevent_id,
		// read_unlock(&myevent_lock)
		event, err := m.myevent.TakeBy(cur)
		if err != nil { // if (signal_pending(current)) break
			m.Printk("mykthread: signal_pending\n")
			return nil
		}
		id, free := event.Key, event.Value
		m.Printk("mykthread: %d has %d bytes free\n", id, free)
		// The lock of the events is free: a holder of a spinning lock may not
		// sleep.
		//
		// run_umode_handler(event_id)
		if err := m.runUmodeHandler(id); err != nil {
			m.failed++
			m.Printk("mykthread: %d: %v\n", id, err)
			continue
		}
		m.served++
		m.Printk("mykthread: %d is served\n", id)
	}
}

// runUmodeHandler is run_umode_handler. It waits until the helper has ended.
func (m *module) runUmodeHandler(id uint) error {
	path := m.handler.Load() // char *argv[2] = { myevent_handler, NULL }
	helper := usermodehelper.Helper{
		Path: path,
		Argv: []string{path},
		// sprintf(buffer, "TROUBLED_DS=%d", event_id), envp[2] = buffer
		Envp:    usermodehelper.Environ(fmt.Sprintf("TROUBLED_DS=%d", id)),
		Timeout: m.timeout,
	}
	// value = call_usermodehelper(argv[0], argv, envp, wait_for)
	status, err := helper.Exec(m.ctx, usermodehelper.WaitProc)
	if err == nil && status != 0 {
		err = errors.New(status.String())
	}
	// The kernel's result is a number. It has the reason, but not the path.
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		err = failed.Err
	}
	return err
}

// A buffer receives bytes from the network.
type buffer struct {
	id   uint
	free int // bytes
}

const lowWatermark = 1024

// receive puts n bytes into b, and reports whether it has posted an event. It
// is the part of the kernel that finds trouble. In the C, post is that part.
func (m *module) receive(b *buffer, n int) (posted bool) {
	b.free -= n
	if b.free >= lowWatermark {
		return false
	}
	// write_lock(&myevent_lock), myevent_id = id,
	// write_unlock(&myevent_lock), wake_up_interruptible(&myevent_waitqueue)
	return m.myevent.Post(b.id, b.free) == nil
}
