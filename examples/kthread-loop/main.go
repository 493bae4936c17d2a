// Kthread-loop is a kernel thread that serves events for ever. Parts of the
// kernel find that a data structure of theirs is in trouble; the thread starts
// a program of the user's, named by a sysctl, that sends an alert.
//
// The alerts go to root by mail if there is a program for it; with the argument
// -n only to a file.
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

// By their numbers, because not every system has a name for them.
const sighup, sigpipe = syscall.Signal(1), syscall.Signal(13)

func main() {
	// The helper has a process group of its own, which Ctrl-C does not reach,
	// nor the end of the terminal. A reader of the output that has gone ends
	// the program in order too.
	ctx, stop := signal.NotifyContext(context.Background(),
		os.Interrupt, syscall.SIGTERM, sighup, sigpipe)
	defer stop()
	if err := session(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "kthread-loop:", err)
		os.Exit(1)
	}
}

// A screen remembers the first error of writing to it, which nobody who prints
// looks at.
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

// A module is what the article adds to the kernel.
type module struct {
	*printk.Log

	// DECLARE_WAIT_QUEUE_HEAD(myevent_waitqueue), rwlock_t myevent_lock,
	// unsigned int myevent_id
	myevent rwevent.Table[uint, int]

	handler *sysctl.Var[string] // myevent_handler, of kernel/sysctl.c
	ctx     context.Context     // of the helpers
	timeout time.Duration       // of each

	thread         *kthread.Thread
	served, failed int // the thread's own until it is gone
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

// load starts the thread: kernel_thread(mykthread, NULL, ...)
func (m *module) load() { m.thread = kthread.Run("mykthread", m.mykthread) }

// mykthread serves one event after the other until it is killed.
func (m *module) mykthread(cur *kthread.Current) error {
	// allow_signal(SIGKILL)
	if err := cur.Allow(syscall.SIGKILL); err != nil {
		return err
	}
	for {
		// It looks before it sleeps, every time. The article's loop sleeps
		// first: what is posted while it is not asleep wakes nobody.
		//
		// add_wait_queue, set_current_state(TASK_INTERRUPTIBLE), schedule(),
		// read_lock, if (myevent_id), read_unlock
		event, err := m.myevent.TakeBy(cur)
		if err != nil { // if (signal_pending(current)) break
			m.Printk("mykthread: signal_pending\n")
			return nil
		}
		id, free := event.Key, event.Value
		m.Printk("mykthread: %d has %d bytes free\n", id, free)
		// The lock is free again: who holds one that spins may not sleep.
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

// runUmodeHandler is run_umode_handler. It returns when the helper has ended.
func (m *module) runUmodeHandler(id uint) error {
	path := m.handler.Load() // argv[i++] = myevent_handler
	helper := usermodehelper.Helper{
		Path: path,
		Argv: []string{path},
		// sprintf(buffer, "TROUBLED_DS=%d", event_id), envp[i++] = buffer
		Envp:    usermodehelper.Environ(fmt.Sprintf("TROUBLED_DS=%d", id)),
		Timeout: m.timeout,
	}
	// value = call_usermodehelper(argv[0], argv, envp, 0)
	status, err := helper.Exec(m.ctx, usermodehelper.WaitProc)
	if err == nil && status != 0 {
		err = errors.New(status.String())
	}
	// The kernel's result is a number: it says why, and not which program.
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		err = failed.Err
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
	// write_lock, myevent_id = id, write_unlock,
	// wake_up_interruptible(&myevent_waitqueue)
	return m.myevent.Post(b.id, b.free) == nil
}
