package main

import (
	_ "embed"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/internal/models"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

//go:embed answers.md
var answers string

// The answers have the numbers that a search finds.
func TestAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		model       func(*explore.Model)
		orders, bad int
		fault       string
		slow        bool
	}{
		"one queue, all are woken": {model(two, waitOrdinary, oneQueue), 4104, 0, "", true},
		"release, then announce":   {model(one, waitLate, twoQueues), 8, 2, "asleep: reader", false},
		"close wakes one":          {closeWakesOne, 246, 96, "asleep: reader B", false},
		"close wakes all":          {closeWakesAll, 570, 0, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			if test.slow && (testing.Short() || models.Race) {
				t.Skip("takes its time")
			}
			found := explore.Search{}.Run(test.model)
			require.Equal(t, []int{test.orders, test.bad}, []int{found.Orders, found.Bad}, found)
			if test.bad > 0 {
				require.Equal(t, test.fault, found.Simplest.Fault)
			}
			require.Contains(t, answers, fmt.Sprintf("%d of %d", test.bad, test.orders))
		})
	}
}

// waitOrdinary has each wake-up wake all waiters. A waiter is not exclusive.
func waitOrdinary(th *orders.Thread, q *waitqueue.Queue, l sync.Locker, cond cond) {
	entry := waitqueue.Entry{Task: &th.Task}
	for !cond() {
		q.Prepare(&entry, waitqueue.Interruptible)
		l.Unlock()
		schedule(th)
		l.Lock()
		q.Finish(&entry)
	}
}

// waitLate releases the lock before it announces the sleep.
func waitLate(th *orders.Thread, q *waitqueue.Queue, l sync.Locker, cond cond) {
	entry := waitqueue.Entry{Task: &th.Task}
	for !cond() {
		l.Unlock()
		q.PrepareExclusive(&entry, waitqueue.Interruptible)
		schedule(th)
		l.Lock()
		q.Finish(&entry)
	}
}

func closeWakesAll(m *explore.Model) { closing(m, (*file).close) }

// closeWakesOne has the close of the kernel between two commits of 5.6.
func closeWakesOne(m *explore.Model) {
	closing(m, func(w *file) {
		w.mutex.Lock()
		defer w.mutex.Unlock()
		w.writers--
		w.rdWait.WakeUp()
	})
}

// closing has two readers, and a writer that closes its end.
func closing(m *explore.Model, closeEnd func(*file)) {
	r, w := newPipe(mutex{m.NewLock(), "return"}, 1, 1)
	for _, name := range two {
		orders.Add(m, name, func(th *orders.Thread) {
			th.Step("read 1 byte")
			_, _ = r.read(player{th, waitFor}, make([]byte, 1))
		})
	}
	orders.Add(m, "writer", func(th *orders.Thread) {
		th.Step("close")
		closeEnd(w)
	})
}
