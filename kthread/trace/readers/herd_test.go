package readers_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/waitqueue"
)

// A herd is a number of threads that wait for tokens, which a producer gives one by one. It
// is the program of examples/thundering-herd, with virtual time in the place of one CPU.
type herd struct {
	prepare func(*waitqueue.Queue, *waitqueue.Entry, waitqueue.State)

	doorbell waitqueue.Queue
	mu       sync.Mutex
	tokens   int // guarded by mu

	waiters  []*kthread.Thread
	producer *kthread.Thread
	sleeps   []int // of each waiter, as it counts them
	woken    []int // by each token, as the producer counts them
}

// herds are the ways to queue, which are the only difference.
var herds = map[string]func(*waitqueue.Queue, *waitqueue.Entry, waitqueue.State){
	"ordinary":  (*waitqueue.Queue).Prepare,
	"exclusive": (*waitqueue.Queue).PrepareExclusive,
}

// run traces a herd of n, in a bubble.
func (h *herd) run(t *testing.T, n int) []byte {
	var text bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, trace.Start(&text))
		trace.SetRegions(true)
		defer trace.SetRegions(false)
		h.doorbell.Name, h.sleeps = "doorbell", make([]int, n)
		for i := range n {
			h.waiters = append(h.waiters, kthread.Run(fmt.Sprintf("waiter/%d", i), func(cur *kthread.Current) error {
				h.sleeps[i] = h.wait(cur.Task())
				return nil
			}))
			time.Sleep(time.Millisecond) // virtual, so it is over when all others sleep
		}
		h.producer = kthread.Run("producer", func(cur *kthread.Current) error {
			for range n {
				h.give()
				_ = cur.Sleep(10 * time.Millisecond) // until all that it woke have looked
			}
			return nil
		})
		for _, waiter := range append(h.waiters, h.producer) {
			require.NoError(t, waiter.Wait(t.Context()))
		}
		require.NoError(t, trace.Stop())
	})
	return text.Bytes()
}

// wait takes a token, and returns how often it slept for that.
func (h *herd) wait(task *waitqueue.Task) (sleeps int) {
	entry := &waitqueue.Entry{Task: task}
	defer h.doorbell.Finish(entry)
	for {
		h.prepare(&h.doorbell, entry, waitqueue.Interruptible)
		if h.take() {
			return sleeps
		}
		task.Schedule()
		sleeps++
	}
}

func (h *herd) take() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tokens == 0 {
		return false
	}
	h.tokens--
	return true
}

// give gives a token.
func (h *herd) give() {
	trace.Begin("ring")
	defer trace.End()
	trace.Counter("waiters", int64(h.doorbell.Len()))
	h.mu.Lock()
	h.tokens++
	h.mu.Unlock()
	h.woken = append(h.woken, h.doorbell.WakeUp())
}
