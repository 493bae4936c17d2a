// Overwritten-event posts three events to a thread that is busy. It posts them
// to the article's variable, to a slot, which counts the events that it drops,
// and to a table, which has room for each event.
package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/kprim/kprim/examples/internal/oldkernel"
	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/waitqueue"
)

func main() { program.Main() }

var program = step.Program{
	Name: "overwritten-event", Game: game, Story: session,
}

// session posts the same events to all three places.
func session(out io.Writer) error {
	fmt.Fprintln(out, "              served  posted handled lost counted stale")
	return cmp.Or(
		serve(out, "myevent_id", &variable{}),
		serve(out, "rwevent.Slot", &slot{}),
		serve(out, "rwevent.Table", &table{}))
}

// A place is where monitors post events and a thread takes them.
type place interface {
	Post(id int) error
	take(onecpu.Sleeper) (id int, err error)
	WaitQueue() *waitqueue.Queue
	Overwritten() uint64
}

// serve starts mykthread. It posts 1 and 2 before the thread runs, and the
// thread posts 3 while it serves its first event. Then two wake-ups come
// without an event.
func serve(out io.Writer, name string, p place) error {
	s := &server{place: p, served: []int{}}
	s.cpu.Lock()
	defer s.cpu.Unlock()
	thread := s.cpu.Start("mykthread", s.mykthread)
	s.post(1)
	s.post(2)
	for _, row := range []string{name, "  a wake-up", "  a wake-up"} {
		s.cpu.Yield() // until the thread sleeps
		s.print(out, row)
		p.WaitQueue().WakeUp()
	}
	s.cpu.Sleep(func() { s.err = cmp.Or(s.err, thread.Stop()) })
	return s.err
}

// A server is a thread that serves the events of a place. The CPU guards it.
type server struct {
	place
	cpu    onecpu.CPU
	posted int
	served []int // ids
	err    error // of a post
}

func (s *server) post(id int) {
	s.posted++
	s.err = cmp.Or(s.err, s.Post(id))
}

// mykthread takes events until it is stopped.
func (s *server) mykthread(cur *kthread.Current) error {
	by := onecpu.Sleeper{Current: cur, CPU: &s.cpu}
	for {
		id, err := s.take(by)
		if err != nil {
			return nil
		}
		s.served = append(s.served, id) // run_umode_handler(event_id)
		if len(s.served) == 1 {
			s.post(3) // a monitor runs before the helper has ended
		}
	}
}

// print prints which ids were served, how many events that makes, and how many
// were lost by the count of the place itself.
func (s *server) print(out io.Writer, row string) {
	handled := len(slices.Compact(slices.Clone(s.served)))
	fmt.Fprintf(out, "%-14s%-8s%6d%8d%5d%8d%6d\n", row, fmt.Sprint(s.served),
		s.posted, handled, s.posted-handled, s.Overwritten(),
		len(s.served)-handled)
}

// A variable is the place of the article. The CPU guards it instead of a
// rwlock.
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

// take is mykthread up to the helper. It sleeps without a look at the variable,
// and the event that it copies stays there.
func (v *variable) take(s onecpu.Sleeper) (int, error) {
	// set_current_state(TASK_INTERRUPTIBLE), schedule()
	oldkernel.InterruptibleSleepOn(s.CPU, &v.queue, s.Task())
	return v.id, s.Context().Err() // event_id = myevent_id, or a stop
}

func (v *variable) WaitQueue() *waitqueue.Queue { return &v.queue }

// Overwritten returns 0, because the variable does not count.
func (v *variable) Overwritten() uint64 { return 0 }

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
