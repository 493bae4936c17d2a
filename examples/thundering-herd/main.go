// Thundering-herd hands a file from one opener to the next, and counts the
// wake-ups. Each close wakes all ordinary waiters, but only one exclusive
// waiter.
package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

func main() { program.Main() }

var program = step.Program{Name: "thundering-herd", Game: game, Story: session}

// session shows pairs of herds. The two of a pair differ only in how they
// queue.
func session(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\tadd_wait_queue\tadd_wait_queue_exclusive")
	for _, n := range []int{4, 3, 8, 32} {
		all := &herd{add: (*waitqueue.Queue).Add}
		one := &herd{add: (*waitqueue.Queue).AddExclusive}
		if err := cmp.Or(all.handOn(n), one.handOn(n)); err != nil {
			return err
		}
		if n == 4 { // few enough to show each close
			fmt.Fprintf(w, "each close wakes\t%v\t%v\n", all.woken, one.woken)
			fmt.Fprintf(w, "the file goes to\t%v\t%v\n", all.owners, one.owners)
		}
		fmt.Fprintf(w, "%d openers\t%d wake-ups, %d for nothing\t%d, %d\n",
			n, all.wakeUps, all.wakeUps-n, one.wakeUps, one.wakeUps-n)
	}
	return w.Flush()
}

// A herd is a number of openers of a file that only one of them may have open
// at a time. The CPU guards it.
type herd struct {
	add func(*waitqueue.Queue, *waitqueue.Entry)

	cpu         onecpu.CPU
	alreadyOpen bool            // int Already_Open = 0
	waitQ       waitqueue.Queue // static struct wait_queue *WaitQ = NULL

	wakeUps       int   // as the openers count them
	woken, owners []int // how many threads a close woke, and which got the file
}

// handOn lets n openers wait for a file that is open. It closes the file until
// all of them have had it.
func (h *herd) handOn(n int) error {
	h.cpu.Lock()
	defer h.cpu.Unlock()
	h.alreadyOpen, h.waitQ.Name = true, "WaitQ"
	threads := make([]*kthread.Thread, n)
	for i := range n {
		fn := func(cur *kthread.Current) error { return h.open(i, cur.Task()) }
		// Start returns when the opener sleeps.
		threads[i] = h.cpu.Start(fmt.Sprint("opener/", i), fn)
	}
	for left := n; left > 0; left-- {
		if s := strings.Count(kthread.Tasks().String(), " WaitQ "); s != left {
			return fmt.Errorf("%d openers are asleep, not %d", s, left)
		}
		h.close()
		h.cpu.Yield() // until all woken openers have run
		<-threads[h.owners[n-left]].Done()
	}
	return nil
}

// open is the wait of module_open with interruptible_sleep_on taken apart: the
// entry is queued once, before the loop.
func (h *herd) open(i int, task *waitqueue.Task) error {
	wait := waitqueue.Entry{Task: task, Func: h.cpu.Enqueue}
	// __add_wait_queue(q, &wait); the fix: add_wait_queue_exclusive(q, &wait)
	h.add(&h.waitQ, &wait)
	defer h.waitQ.Remove(&wait)
	// while (Already_Open)
	for task.SetState(waitqueue.Interruptible); h.alreadyOpen; h.wakeUps++ {
		h.cpu.Schedule(task) // module_interruptible_sleep_on(&WaitQ)
		task.SetState(waitqueue.Interruptible)
	}
	task.SetState(waitqueue.Running)
	h.alreadyOpen = true // Already_Open = 1
	h.owners = append(h.owners, i)
	return nil
}

// close is module_close. It is the same for both herds: the entries in the
// queue say how many of them it wakes.
func (h *herd) close() {
	h.alreadyOpen = false                       // Already_Open = 0
	h.woken = append(h.woken, h.waitQ.WakeUp()) // module_wake_up(&WaitQ)
}
