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
func (t *Thread) String() string {
	if t.label == nil {
		return "no thread"
	}
	return fmt.Sprintf("thread %d [%s]", t.pid, t.label.name)
}

// Format prints the text of [Thread.String] for every verb. To print the fields,
// as %#v does otherwise, would be a data race.
func (t *Thread) Format(f fmt.State, verb rune) { format(f, verb, t) }

func format(f fmt.State, verb rune, v fmt.Stringer) {
	if verb != 'q' {
		verb = 's'
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), v.String())
}

// MarshalText returns the text of [Thread.String], for log/slog and
// encoding/json.
func (t *Thread) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// String returns the text of [Thread.String].
func (cur *Current) String() string {
	if cur.t == nil {
		return "no thread"
	}
	return cur.t.String()
}

// Format is [Thread.Format].
func (cur *Current) Format(f fmt.State, verb rune) { format(f, verb, cur) }

// MarshalText returns the text of [Thread.String], for log/slog and
// encoding/json.
func (cur *Current) MarshalText() ([]byte, error) { return []byte(cur.String()), nil }

// String returns the number and the name of the worker's thread, as in
//
//	worker 7 [flusher]
func (w *Worker) String() string {
	t := w.self.thread
	if t == nil {
		return "worker without a thread"
	}
	return fmt.Sprintf("worker %d [%s]", t.pid, t.label.name)
}

// Format prints the text of [Worker.String] for every verb, as [Thread.Format]
// does.
func (w *Worker) Format(f fmt.State, verb rune) { format(f, verb, w) }

// MarshalText returns the text of [Worker.String], for log/slog and
// encoding/json.
func (w *Worker) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// String names the worker or the workqueue that the work belongs to, as in
//
//	work of worker 7 [flusher]
func (k *Work) String() string {
	if p := k.pool.Load(); p != nil {
		return "work of " + p.owner.String()
	}
	return "work of no worker"
}

// Format prints the text of [Work.String] for every verb, as [Thread.Format] does.
func (k *Work) Format(f fmt.State, verb rune) { format(f, verb, k) }

// MarshalText returns the text of [Work.String], for log/slog and
// encoding/json.
func (k *Work) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// String returns the text of [Work.String], after the word "delayed".
func (d *DelayedWork) String() string { return "delayed " + d.work.String() }

// Format prints the text of [DelayedWork.String] for every verb, as
// [Thread.Format] does.
func (d *DelayedWork) Format(f fmt.State, verb rune) { format(f, verb, d) }

// MarshalText returns the text of [DelayedWork.String], for log/slog and
// encoding/json.
func (d *DelayedWork) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String returns one line, as in
//
//	thread 7 [flusher]: state S, wchan mail, age 1m0s, 3 wake-ups
//
// It quotes names as [Infos.String] does.
func (i Info) String() string {
	return fmt.Sprintf("thread %d [%s]: state %v, wchan %s, age %v, %d wake-ups",
		i.Pid, printable(i.Name), i.State, cmp.Or(printable(i.Wchan), "-"), i.Age, i.WakeUps)
}
