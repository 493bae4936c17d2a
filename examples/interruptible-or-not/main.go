// Interruptible-or-not types Ctrl-C at three threads that wait for one file.
// The first one sleeps uninterruptibly. The second one can be interrupted, and
// gives up. The third one can be interrupted, but does not look whether it was.
package main

import (
	"cmp"
	"fmt"
	"io"
	"syscall"

	"github.com/kprim/kprim/examples/internal/oldkernel"
	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

func main() { program.Main() }

var program = step.Program{
	Name: "interruptible-or-not", Game: game, Story: session,
}

// session has A keep the file open while the three threads wait for it.
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
		if t.Info().State != waitqueue.Uninterruptible {
			// The signal woke it, and it goes on to its end.
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

// A file is /proc/sleep, which only one thread may have open at a time. The CPU
// guards it.
type file struct {
	out      io.Writer
	cpu      onecpu.CPU
	waitQ    waitqueue.Queue
	openers  int // Already_Open; it should be 0 or 1
	useCount int // of the module
}

// ps shows a thread and the file. It does not count the first wake-up, which
// let the thread run.
func (f *file) ps(t *kthread.Thread) {
	fmt.Fprintf(f.out, "%-10s%v %-5s%10d%9d%11d\n", t.Name(), t.Info().State,
		cmp.Or(t.Info().Wchan, "-"), t.Info().WakeUps-1, f.openers, f.useCount)
}

// A way is a wait until the file is free. A signal may end it earlier.
type way func(onecpu.Sleeper) error

// open is the wait of module_open. Its thread waits in this way. If look is
// false, the thread does not look at the result of its wait.
func (f *file) open(wait way, look bool) func(*kthread.Current) error {
	return func(c *kthread.Current) error {
		f.useCount++ // MOD_INC_USE_COUNT
		if err := c.Allow(syscall.SIGINT); err != nil {
			return err
		}
		err := wait(onecpu.Sleeper{Current: c, CPU: &f.cpu})
		if err != nil && look {
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
		// only a wake-up ends this sleep.
		oldkernel.SleepOn(s.CPU, &f.waitQ, s.Task())
	}
	return nil
}

// waitEvent is wait_event_interruptible. It tests the condition before it
// returns for a signal, so a thread that can have the file is not interrupted.
func (f *file) waitEvent(s onecpu.Sleeper) error {
	// if (!(condition)) __wait_event_interruptible(wq, condition, __ret)
	return s.Wait(&f.waitQ, func() bool { return f.openers == 0 })
}

// close is module_close for n threads that have the file open.
func (f *file) close(n int) {
	f.openers -= n   // Already_Open = 0
	f.useCount -= n  // MOD_DEC_USE_COUNT
	f.waitQ.WakeUp() // module_wake_up(&WaitQ)
}
