// Interruptible-or-not types Ctrl-C at three who wait for one file: the first
// sleeps uninterruptibly, the second can be interrupted and gives up, the third
// can be interrupted and does not look whether it was.
package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/kprim/kprim/examples/internal/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

func main() {
	if err := session(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "interruptible-or-not:", err)
		os.Exit(1)
	}
}

// session has A keep the file open, while the three want it.
func session(out io.Writer) (err error) {
	f := &file{out: out, waitQ: waitqueue.Queue{Name: "WaitQ"}}
	f.cpu.Lock()
	defer f.cpu.Unlock()
	f.openers, f.useCount = 1, 1 // A
	deaf := f.cpu.Start("deaf", f.open(waitqueue.Uninterruptible, true))
	careful := f.cpu.Start("careful", f.open(waitqueue.Interruptible, true))
	careless := f.cpu.Start("careless", f.open(waitqueue.Interruptible, false))
	fmt.Fprintln(out, "COMM      S WCHAN  WAKE-UPS  OPENERS  USE COUNT")
	for _, t := range []*kthread.Thread{deaf, careful, careless} {
		f.ps(t)
		fmt.Fprintln(out, "# kill -INT", t.Name())
		err = cmp.Or(err, t.Signal(syscall.SIGINT))
		if t.Info().State != waitqueue.Uninterruptible { // the signal woke it
			f.cpu.Sleep(func() { <-t.Done() })
		}
		f.ps(t)
	}
	fmt.Fprintln(out, "# kill A careless")
	f.close(2)
	f.cpu.Sleep(func() { <-deaf.Done() })
	f.ps(deaf)
	return err
}

// A file is /proc/sleep, which one at a time can have open. Whoever touches it
// has the CPU.
type file struct {
	out               io.Writer
	cpu               onecpu.CPU
	waitQ             waitqueue.Queue
	openers, useCount int // Already_Open, 0 or 1 if all is well; the module's
}

// ps shows a thread and the file. The wake-up that let it run is not counted.
func (f *file) ps(t *kthread.Thread) {
	fmt.Fprintf(f.out, "%-10s%v %-5s%10d%9d%11d\n", t.Name(), t.Info().State,
		cmp.Or(t.Info().Wchan, "-"), t.Info().WakeUps-1, f.openers, f.useCount)
}

// open is module_open, as far as it waits, for one who sleeps in state s, and
// looks at what the sleep returns, or does not.
func (f *file) open(s waitqueue.State, look bool) func(*kthread.Current) error {
	return func(cur *kthread.Current) error {
		f.useCount++ // MOD_INC_USE_COUNT
		err := cmp.Or(cur.Allow(syscall.SIGINT), f.wait(cur, s))
		if err != nil && look {
			f.useCount-- // MOD_DEC_USE_COUNT
			fmt.Fprintln(f.out, "open /proc/sleep:", err)
			return err // return -EINTR
		}
		f.openers++ // Already_Open = 1
		return nil
	}
}

// wait is wait_event, or wait_event_interruptible: s says which.
func (f *file) wait(cur *kthread.Current, s waitqueue.State) error {
	wait := waitqueue.Entry{Task: cur.Task(), Func: f.cpu.Enqueue}
	defer f.waitQ.Finish(&wait) // finish_wait(&WaitQ, &wait)
	// for (;;) { prepare_to_wait(&WaitQ, &wait, s); if (!Already_Open) break;
	for f.waitQ.Prepare(&wait, s); f.openers > 0; f.waitQ.Prepare(&wait, s) {
		// signal_pending_state(s, current): asked after the test, so that
		// nobody is interrupted who can have the file.
		if s == waitqueue.Interruptible && cur.Pending() {
			return syscall.EINTR // -ERESTARTSYS
		}
		f.cpu.Schedule(cur.Task()) // schedule()
	}
	return nil
}

// close is module_close, called by n who have the file open.
func (f *file) close(n int) {
	f.openers -= n   // Already_Open = 0
	f.useCount -= n  // MOD_DEC_USE_COUNT
	f.waitQ.WakeUp() // module_wake_up(&WaitQ)
}
