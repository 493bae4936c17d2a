package waitqueue

import "context"

// WaitAny is [Queue.Wait] on several queues at once: a wake-up of any of them
// makes it test cond again. It allocates an [Entry] for each queue.
//
// Kernel: poll_wait on several queues, as poll(2) does
func WaitAny(ctx context.Context, cond func() bool, queues ...*Queue) error {
	err := ContextErr(ctx)
	if cond() {
		return nil
	}
	if err != nil {
		return err
	}
	t, state := sleeper(ctx)
	entries := make([]Entry, len(queues))
	for i := range entries { // once: wakers read what is on a queue
		entries[i].Task, entries[i].kind = t, prepared
	}
	defer func() {
		t.settle()
		removeAll(queues, entries)
		t.free()
	}()
	for {
		if err = ContextErr(ctx); err == nil {
			addAll(queues, entries)
			t.announce(state)
		} else {
			removeAll(queues, entries)
		}
		if cond() {
			return nil
		}
		if err != nil {
			return err
		}
		t.Schedule()
		if cond() {
			return nil
		}
	}
}

// addAll puts on their queues those entries that are not there. The sleep is
// announced only after that. Announced before, it could be undone by a wake-up
// that takes an entry off, and be announced again for the next queue: the task
// would sleep on too few.
func addAll(queues []*Queue, entries []Entry) {
	for i := range entries {
		queues[i].add(&entries[i])
	}
}

func removeAll(queues []*Queue, entries []Entry) {
	for i := range entries {
		queues[i].Remove(&entries[i])
	}
}
