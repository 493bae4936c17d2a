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

	"github.com/kprim/kprim/examples/internal/oldkernel"
	"github.com/kprim/kprim/examples/onecpu"
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
	deaf := f.cpu.Start("deaf", f.open(f.sleepOn, true))
	careful := f.cpu.Start("careful", f.open(f.waitEvent, true))
	careless := f.cpu.Start("careless", f.open(f.waitEvent, false))
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

// A way to wait until the file is free. A signal may end it before.
type way func(onecpu.Sleeper) error

// open is module_open, as far as it waits, for one who waits in that way, and
// looks at the result, or does not.
func (f *file) open(wait way, look bool) func(*kthread.Current) error {
	return func(c *kthread.Current) error {
		f.useCount++ // MOD_INC_USE_COUNT
		s := onecpu.Sleeper{Current: c, CPU: &f.cpu}
		if err := cmp.Or(c.Allow(syscall.SIGINT), wait(s)); err != nil && look {
			f.useCount-- // MOD_DEC_USE_COUNT
			fmt.Fprintln(f.out, "open /proc/sleep:", err)
			return err // return -EINTR
		}
		f.openers++ // Already_Open = 1
		return nil
	}
}

// sleepOn is the loop of module_open, with one word left out of its call.
func (f *file) sleepOn(s onecpu.Sleeper) error {
	for f.openers > 0 { // while (Already_Open)
		// module_sleep_on(&WaitQ), not module_interruptible_sleep_on(&WaitQ):
		// a wake-up ends it, and nothing else does.
		oldkernel.SleepOn(s.CPU, &f.waitQ, s.Task())
	}
	return nil
}

// waitEvent is wait_event_interruptible. It asks for the condition before it
// looks for a signal: nobody is interrupted who can have the file.
func (f *file) waitEvent(s onecpu.Sleeper) error {
	// if (!(condition)) __wait_event_interruptible(wq, condition, __ret)
	return s.Wait(&f.waitQ, func() bool { return f.openers == 0 })
}

// close is module_close, called by n who have the file open.
func (f *file) close(n int) {
	f.openers -= n   // Already_Open = 0
	f.useCount -= n  // MOD_DEC_USE_COUNT
	f.waitQ.WakeUp() // module_wake_up(&WaitQ)
}
