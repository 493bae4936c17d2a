package kthread

import (
	"cmp"
	"fmt"
)

// String returns the number and the name of the thread, as in
//
//	thread 7 [flusher]
//
// It does not tell the state of the thread. [Thread.Info] does.
func (t *Thread) String() string { return fmt.Sprintf("thread %d [%s]", t.pid, t.label.name) }

// MarshalText returns the text of [Thread.String], for log/slog and
// encoding/json.
func (t *Thread) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// String returns the text of [Thread.String].
func (cur *Current) String() string { return cur.t.String() }

// MarshalText returns the text of [Thread.String], for log/slog and
// encoding/json.
func (cur *Current) MarshalText() ([]byte, error) { return cur.t.MarshalText() }

// String returns the number and the name of the worker's thread, as in
//
//	worker 7 [flusher]
func (w *Worker) String() string {
	if w.thread == nil {
		return "worker without a thread"
	}
	return fmt.Sprintf("worker %d [%s]", w.thread.pid, w.thread.label.name)
}

// MarshalText returns the text of [Worker.String], for log/slog and
// encoding/json.
func (w *Worker) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// String names the worker that the work belongs to, as in
//
//	work of worker 7 [flusher]
func (k *Work) String() string {
	if w := k.worker.Load(); w != nil {
		return "work of " + w.String()
	}
	return "work of no worker"
}

// MarshalText returns the text of [Work.String], for log/slog and
// encoding/json.
func (k *Work) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// String returns the text of [Work.String], after the word "delayed".
func (d *DelayedWork) String() string { return "delayed " + d.work.String() }

// MarshalText returns the text of [DelayedWork.String], for log/slog and
// encoding/json.
func (d *DelayedWork) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String returns one line, as in
//
//	thread 7 [flusher]: state S, wchan mail, age 1m0s, 3 wake-ups
func (i Info) String() string {
	return fmt.Sprintf("thread %d [%s]: state %v, wchan %s, age %v, %d wake-ups",
		i.Pid, i.Name, i.State, cmp.Or(i.Wchan, "-"), i.Age, i.WakeUps)
}
