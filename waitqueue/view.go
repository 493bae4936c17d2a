package waitqueue

import "github.com/kprim/kprim/internal/view"

func init() {
	view.Queue = func(queue any) []view.Entry { return queue.(*Queue).view() }
	view.Of = func(entry any) view.Entry { return entry.(*Entry).view() }
	view.Woken = func(entry any) bool { return entry.(*WokenEntry).woken.Load() }
	view.Tokens = func(completion any) uint32 { return completion.(*Completion).done.Load() }
}

func (q *Queue) view() (entries []view.Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for e := q.head; e != nil; e = e.next {
		entries = append(entries, e.view())
	}
	return entries
}

// view is for an entry that no other goroutine changes at this moment.
func (e *Entry) view() view.Entry {
	v := view.Entry{
		ID:        e,
		State:     uint32(e.state),
		Exclusive: e.exclusive,
		Priority:  e.priority,
		Queued:    e.queue != nil,
		Stays:     e.kind == added,
	}
	if e.Task != nil {
		v.Task, v.State = e.Task, uint32(e.Task.State())
	}
	return v
}
