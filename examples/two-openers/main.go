// Two-openers lets two into a file that is for one at a time: each tests the
// flag before the other has set it. It shows how one CPU keeps that from
// happening, and that it cannot happen if test and set are one step.
package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/kprim/kprim/examples/internal/printk"
	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

func main() {
	if err := session(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "two-openers:", err)
		os.Exit(1)
	}
}

// session shows three times what follows a close that wakes two, and then what
// was counted. The first two differ only in who runs between test and set, the
// last two only in the test.
func session(out io.Writer) error {
	_, err := fmt.Fprint(out,
		(&file{test: test, window: nobody}).run(out, "two steps"),
		(&file{test: test, window: next}).run(out, "two steps, preempted"),
		(&file{test: testAndSet, window: next}).run(out, "one step, preempted"),
	)
	return err
}

func test(flag *atomic.Bool) bool { return flag.Load() }

// testAndSet is test_and_set_bit: there is nothing between its two halves.
func testAndSet(flag *atomic.Bool) bool { return flag.Swap(true) }

func nobody(*onecpu.CPU)   {}
func next(cpu *onecpu.CPU) { cpu.Yield() } // a preemption, or a second CPU

// A file is /proc/sleep. All but the flag is guarded by the CPU.
type file struct {
	test   func(alreadyOpen *atomic.Bool) bool
	window func(*onecpu.CPU) // who runs between the test and the set
	cpu    onecpu.CPU
	log    printk.Log

	alreadyOpen atomic.Bool     // int Already_Open = 0
	waitQ       waitqueue.Queue // static struct wait_queue *WaitQ = NULL

	inside, most, opens, wakeUps int
}

// open is module_open, except that it queues before it tests.
func (f *file) open(name string, task *waitqueue.Task) {
	wait := waitqueue.Entry{Task: task, Func: f.cpu.Enqueue}
	prepare := func() { f.waitQ.Prepare(&wait, waitqueue.Interruptible) }
	// while (Already_Open), or while (test_and_set_bit(0, &Already_Open))
	for prepare(); f.test(&f.alreadyOpen); prepare() {
		f.log.Printk("%s: Already_Open was 1, sleeps", name)
		f.cpu.Schedule(task) // module_interruptible_sleep_on(&WaitQ)
	}
	f.waitQ.Finish(&wait)
	f.log.Printk("%s: Already_Open was 0", name)
	// Whoever tests now finds 0 as well, unless the test has set it.
	f.window(&f.cpu)
	f.alreadyOpen.Store(true) // Already_Open = 1
	f.opens++
	f.inside++
	f.most = max(f.most, f.inside)
	f.log.Printk("%s: Already_Open = 1, %d inside", name, f.inside)
}

// close is module_close.
func (f *file) close(name string) {
	f.inside--
	f.alreadyOpen.Store(false)   // Already_Open = 0
	woken := f.waitQ.WakeUpAll() // module_wake_up(&WaitQ)
	f.wakeUps += woken
	f.log.Printk("%s: closes, wakes %d", name, woken)
}

// run has A open the file, and B and C sleep. It shows what they do when A
// closes the file, and returns what it has counted.
func (f *file) run(out io.Writer, title string) string {
	f.cpu.Lock()
	f.open("A", new(waitqueue.Task))
	b, c := f.cpu.Start("B", f.opener), f.cpu.Start("C", f.opener)
	fmt.Fprintf(out, "# %s\n", title)
	f.log = *printk.New(out)
	f.close("A")
	f.cpu.Unlock()
	<-b.Done()
	<-c.Done()
	return fmt.Sprintf("%-21s inside at most %d, opens %d, wake-ups %d\n",
		title+":", f.most, f.opens, f.wakeUps)
}

// opener is a program that opens the file, reads it, and closes it.
func (f *file) opener(cur *kthread.Current) error {
	f.open(cur.Thread().Name(), cur.Task())
	f.cpu.Yield() // it reads, and others run
	f.close(cur.Thread().Name())
	return nil
}
