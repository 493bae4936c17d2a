// Overwritten-event posts three events to a thread that is busy: to a variable,
// as the article does, to a slot, which counts what it drops, and to a table,
// which has room for each.
package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/kprim/kprim/examples/internal/oldkernel"
	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/waitqueue"
)

func main() {
	if err := session(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "overwritten-event:", err)
		os.Exit(1)
	}
}

// session does the same with all three. It prints which ids were served, what
// that makes of the events, and how many were lost as the place itself counts.
func session(out io.Writer) error {
	fmt.Fprintln(out, "              served  posted handled lost counted stale")
	return cmp.Or(run(out, "myevent_id", &variable{}),
		run(out, "rwevent.Slot", &slot{}), run(out, "rwevent.Table", &table{}))
}

// A place is where monitors post events and a thread takes them.
type place interface {
	Post(id int) error
	take(onecpu.Sleeper) (id int, err error)
	WaitQueue() *waitqueue.Queue
	Overwritten() uint64
}

// run is mykthread, and what happens to it: 1 and 2 are posted before it runs,
// 3 while it serves its first, and then come wake-ups that mean nothing.
func run(out io.Writer, name string, p place) (err error) {
	var cpu onecpu.CPU
	cpu.Lock()
	defer cpu.Unlock()
	posted, ids := 0, []int{}
	post := func(id int) { posted, err = posted+1, cmp.Or(err, p.Post(id)) }
	thread := cpu.Start("mykthread", func(cur *kthread.Current) error {
		s := onecpu.Sleeper{Current: cur, CPU: &cpu}
		for id, err := p.take(s); err == nil; id, err = p.take(s) {
			// run_umode_handler(event_id); a monitor runs before it is over
			if ids = append(ids, id); len(ids) == 1 {
				post(3)
			}
		}
		return nil
	})
	post(1)
	post(2)
	for _, row := range []string{name, "  a wake-up", "  a wake-up"} {
		cpu.Yield() // until the thread sleeps
		handled := len(slices.Compact(slices.Clone(ids)))
		fmt.Fprintf(out, "%-14s%-8s%6d%8d%5d%8d%6d\n", row, fmt.Sprint(ids),
			posted, handled, posted-handled, p.Overwritten(), len(ids)-handled)
		p.WaitQueue().WakeUp()
	}
	cpu.Sleep(func() { err = cmp.Or(err, thread.Stop()) })
	return err
}

// A variable is the article's. The CPU guards it in the place of its rwlock.
type variable struct {
	id    int             // unsigned int myevent_id
	queue waitqueue.Queue // DECLARE_WAIT_QUEUE_HEAD(myevent_waitqueue)
}

// Post is monitor.
func (v *variable) Post(id int) error {
	v.id = id                     // myevent_id = id
	v.queue.WakeUpInterruptible() // wake_up_interruptible(&myevent_waitqueue)
	return nil
}

// take is mykthread up to the helper. It sleeps without having looked, and what
// it copies stays where it is.
func (v *variable) take(s onecpu.Sleeper) (int, error) {
	// set_current_state(TASK_INTERRUPTIBLE), schedule()
	oldkernel.InterruptibleSleepOn(s.CPU, &v.queue, s.Task())
	return v.id, s.Context().Err() // event_id = myevent_id, or it is the end
}

func (v *variable) WaitQueue() *waitqueue.Queue { return &v.queue }
func (v *variable) Overwritten() uint64         { return 0 } // it cannot tell

// A slot holds the latest event, until it is taken.
type slot struct{ rwevent.Slot[int] }

func (s *slot) take(by onecpu.Sleeper) (int, error) { return s.TakeBy(by) }

// A table holds the latest event of each id, until it is taken.
type table struct{ rwevent.Table[int, int] }

func (t *table) Post(id int) error { return t.Table.Post(id, id) }

func (t *table) take(by onecpu.Sleeper) (int, error) {
	event, err := t.TakeBy(by)
	return event.Key, err
}
