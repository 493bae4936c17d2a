// Two-openers lets two threads open a file that only one thread may have open
// at a time. Each of them tests the flag before the other one sets it. The
// program shows that this cannot happen on one CPU without preemption, and that
// it cannot happen anywhere if the test and the set are one step.
package main

import (
	"fmt"
	"io"
	"sync/atomic"

	"github.com/kprim/kprim/examples/internal/printk"
	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

func main() { program.Main() }

var program = step.Program{Name: "two-openers", Game: game, Story: session}

// session shows three times how two threads react to a close that wakes both,
// and then prints the counts. The first two scenes differ only in the threads
// that run between test and set, the last two only in the test.
func session(out io.Writer) error {
	unpreempted := &file{test: test, window: noOther}
	preempted := &file{test: test, window: next}
	oneStep := &file{test: testAndSet, window: next}
	_, err := fmt.Fprint(out,
		unpreempted.scene(out, "two steps"),
		preempted.scene(out, "two steps, preempted"),
		oneStep.scene(out, "one step, preempted"))
	return err
}

func test(flag *atomic.Bool) bool { return flag.Load() }

// testAndSet is test_and_set_bit: no step of another thread comes between its
// test and its set.
func testAndSet(flag *atomic.Bool) bool { return flag.Swap(true) }

func noOther(*onecpu.CPU)  {}
func next(cpu *onecpu.CPU) { cpu.Yield() } // a preemption, or a second CPU

// A file is /proc/sleep. The CPU guards all fields except the flag.
type file struct {
	test   func(alreadyOpen *atomic.Bool) bool
	window func(*onecpu.CPU) // lets others run between the test and the set
	cpu    onecpu.CPU
	log    printk.Log

	alreadyOpen atomic.Bool     // int Already_Open = 0
	waitQ       waitqueue.Queue // static struct wait_queue *WaitQ = NULL

	inside, most, opens, wakeUps int
}

// open is module_open, except that it queues itself before it tests.
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
	// A thread that tests now finds 0 as well, unless the test has set it.
	f.window(&f.cpu)
	f.enter()
	f.log.Printk("%s: Already_Open = 1, %d inside", name, f.inside)
}

// enter is the end of module_open.
func (f *file) enter() {
	f.alreadyOpen.Store(true) // Already_Open = 1
	f.opens++
	f.inside++
	f.most = max(f.most, f.inside)
}

// close is module_close.
func (f *file) close(name string) {
	f.log.Printk("%s: closes, wakes %d", name, f.leave())
}

// leave is module_close without the line that close prints.
func (f *file) leave() (woken int) {
	f.inside--
	f.alreadyOpen.Store(false)  // Already_Open = 0
	woken = f.waitQ.WakeUpAll() // module_wake_up(&WaitQ)
	f.wakeUps += woken
	return woken
}

// scene has A open the file, and B and C sleep. It shows their steps after A
// closes the file, and returns the counts.
func (f *file) scene(out io.Writer, title string) string {
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
