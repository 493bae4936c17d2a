package main

import (
	"errors"
	"sync"

	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// A wait is a way to wait for cond on q, with l held before and after.
type wait func(th *orders.Thread, q *waitqueue.Queue, l sync.Locker, cond cond)

type cond func() bool

// waitFor is the right way, as WaitExclusiveLocked has it.
func waitFor(th *orders.Thread, q *waitqueue.Queue, l sync.Locker, cond cond) {
	for !cond() {
		sleep(th, q, l)
	}
}

// waitIf tests once. Another thread may have the lock before this one has it
// again.
func waitIf(th *orders.Thread, q *waitqueue.Queue, l sync.Locker, cond cond) {
	if !cond() {
		sleep(th, q, l)
	}
}

// waitHolding sleeps with the lock held. No other thread can make cond true.
func waitHolding(
	th *orders.Thread, q *waitqueue.Queue, _ sync.Locker, cond cond,
) {
	for !cond() {
		sleep(th, q, noLock{})
	}
}

// sleep releases l and sleeps until a wake-up: sleep(chan, lk) of xv6, or
// pthread_cond_wait. It announces the sleep first. So a wake-up that comes
// between the release and the sleep is not lost.
func sleep(th *orders.Thread, q *waitqueue.Queue, l sync.Locker) {
	entry := waitqueue.Entry{Task: &th.Task}
	q.PrepareExclusive(&entry, waitqueue.Interruptible)
	l.Unlock()
	schedule(th)
	l.Lock()
	q.Finish(&entry)
}

// schedule sleeps, unless a wake-up has come already. Another thread may have
// the lock before a thread that was woken, so that thread begins a step.
func schedule(th *orders.Thread) {
	if th.Task.State() != waitqueue.Running {
		th.Schedule()
		th.Step("take the lock again")
	}
}

// A noLock is no lock.
type noLock struct{}

func (noLock) Lock()   {}
func (noLock) Unlock() {}

// A mutex is the lock of a model. The next step of a thread that has released
// it has this name.
type mutex struct {
	lock *explore.Lock
	next string
}

func (l mutex) Lock()   { l.lock.Lock() }
func (l mutex) Unlock() { l.lock.UnlockAt(l.next) }

// A player is a thread of a model that reads and writes.
type player struct {
	*orders.Thread
	wait wait
}

// WaitExclusiveLocked releases the lock to sleep. The pipe releases it to
// return.
func (pl player) WaitExclusiveLocked(
	q *waitqueue.Queue, l sync.Locker, cond func() bool,
) error {
	pl.wait(pl.Thread, q, mutex{l.(mutex).lock, "sleep"}, cond)
	return nil
}

// twoQueues is the right form.
func twoQueues(*pipe) {}

// oneQueue has readers and writers sleep on one queue. A wake-up for a writer
// may pick a reader. That reader finds nothing and sleeps again, and the writer
// sleeps on.
func oneQueue(p *pipe) {
	p.rdWait = &waitqueue.Queue{Name: "wait"}
	p.wrWait = p.rdWait
}

// Names of readers.
var (
	one = []string{"reader"}
	two = []string{"reader A", "reader B"}
)

// The games of the broken forms, by the name that the command has.
var games = map[string]step.Game{
	"if": {
		Aim:   "have a reader find no byte: it believes the writer is gone",
		Model: model(two, waitIf, twoQueues),
	},
	"queue": {
		Aim:   "leave the writer and a reader asleep for ever",
		Model: model(two, waitFor, oneQueue),
	},
	"lock": {
		Aim:   "leave the writer and the reader asleep for ever",
		Model: model(one, waitHolding, twoQueues),
	},
}

// model has readers of one byte, and a writer of as many bytes. The pipe has
// room for one byte.
func model(
	readers []string, wait wait, queues func(*pipe),
) func(*explore.Model) {
	return func(m *explore.Model) {
		r, w := newPipe(mutex{m.NewLock(), "return"}, 1, 1)
		queues(r.pipe)
		ended := 0
		for _, name := range readers {
			orders.Add(m, name, func(th *orders.Thread) {
				th.Step("read 1 byte")
				n, _ := r.read(player{th, wait}, make([]byte, 1))
				ended += 1 - n
			})
		}
		orders.Add(m, "writer", func(th *orders.Thread) {
			th.Step("write")
			_, _ = w.write(player{th, wait}, []byte("xy")[:len(readers)])
		})
		m.Check(func() error {
			if ended > 0 {
				return errors.New("a read of 0 bytes, and a writer is there")
			}
			return nil
		})
	}
}
