package waitqueue

import (
	"context"

	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/internal/watch"
)

// WaitAny is [Queue.Wait] on several queues at once: a wake-up of any of them
// makes it test cond again. It allocates an [Entry] for each queue, and a channel.
//
// It is the loop of poll(2). The kernel's poll_wait is one step of that loop: it puts the
// caller on one queue and does not wait.
//
// Kernel: poll(2)
//
// Differs: waits for a condition, and takes queues, not files.
func WaitAny(ctx context.Context, cond func() bool, queues ...*Queue) error {
	err := ContextErr(ctx)
	if cond() {
		return nil
	}
	if err != nil {
		return err
	}
	end, state := ctx.Done(), Interruptible
	if end == nil {
		state = Uninterruptible
	}
	wake := make(kick, 1)
	entries := make([]Entry, len(queues))
	for i := range entries { // once: wakers read the entries of a queue
		entries[i].kick, entries[i].state = wake, state
	}
	defer endAny(queues, entries, wake)
	for over := false; ; {
		if err = ContextErr(ctx); over && err == nil {
			err = errNoErr
		}
		if err == nil {
			if watch.On() != nil && len(queues) > 0 {
				queues[0].tellOfAnnouncement(&entries[0])
			}
			addAll(queues, entries)
		} else {
			removeAll(queues, entries)
		}
		if cond() {
			return nil
		}
		if err != nil {
			return failed(err)
		}
		watch.Asleep(wake)
		select {
		case <-wake:
		case <-end:
			over = true
		}
		point.At("awake", wake)
		watch.Awake(wake)
		if cond() {
			return nil
		}
	}
}

// addAll puts on their queues those entries that a wake-up took off.
func addAll(queues []*Queue, entries []Entry) {
	for i := range entries {
		queues[i].queueUp(&entries[i])
	}
}

// endAny ends a WaitAny, however it went.
func endAny(queues []*Queue, entries []Entry, wake kick) {
	removeAll(queues, entries)
	watch.Over(wake)
}

func removeAll(queues []*Queue, entries []Entry) {
	for i := range entries {
		queues[i].takeOff(&entries[i])
	}
}
