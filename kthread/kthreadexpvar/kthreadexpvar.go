// Package kthreadexpvar shows the threads of package kthread and the counters of package
// trace among the variables of package expvar, for programs that collect these:
//
//	expvar.Publish("kthread", kthreadexpvar.Func())
//	trace.StartCounting()
//
// The variable is an object:
//
//	"kthread": {
//		"threads": [{"pid": 1, "name": "flushd", "state": "S", "wchan": "mail", "age_seconds": 60, "wakeups": 3, "spurious": 1}],
//		"queues": {"mail": {"waiters": 1, "wakeups": 2, "spurious": 1, "longest_sleep_seconds": 59.5}}
//	}
//
// It is a package of its own because package expvar brings an HTTP server, and serves
// /debug/vars on [net/http.DefaultServeMux]. For a page to read, use package kthreadhttp.
package kthreadexpvar

import (
	"expvar"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/trace"
)

// Func returns a variable for [expvar.Publish], read at each call. The member queues, and
// the member spurious of a thread, are there only after [trace.StartCounting]. The queues
// without a name are under the name "". The values of one thread, or of one queue, are of
// one moment. The values of another one may be of another moment.
//
// Strangers can often read the variables of a program. These show the names of its threads
// and queues, and how busy they are.
func Func() expvar.Func {
	return func() any { return vars{threads(), queues()} }
}

type vars struct {
	Threads []thread         `json:"threads"`
	Queues  map[string]queue `json:"queues,omitzero"`
}

// A thread has the fields of a [kthread.Info].
type thread struct {
	Pid      int     `json:"pid"`
	Name     string  `json:"name"`
	State    string  `json:"state"` // a letter, as in ps(1)
	Wchan    string  `json:"wchan"` // the name of the queue that it sleeps on, or ""
	Age      float64 `json:"age_seconds"`
	WakeUps  uint32  `json:"wakeups"`
	Spurious *uint64 `json:"spurious,omitempty"` // nil while nothing counts
}

// A queue has the fields of a [trace.QueueStat].
type queue struct {
	Waiters  int     `json:"waiters"`
	WakeUps  uint64  `json:"wakeups"`
	Spurious uint64  `json:"spurious"`
	Longest  float64 `json:"longest_sleep_seconds"`
}

func threads() []thread {
	spurious := map[int]*uint64{}
	for _, s := range trace.Tasks() {
		spurious[s.Pid] = &s.Spurious
	}
	list := []thread{}
	for _, i := range kthread.Tasks() {
		list = append(list, thread{
			i.Pid, i.Name, i.State.String(), i.Wchan, i.Age.Seconds(), i.WakeUps, spurious[i.Pid],
		})
	}
	return list
}

// queues returns nil while nothing counts.
func queues() map[string]queue {
	stats := trace.Queues()
	if stats == nil {
		return nil
	}
	named := map[string]queue{}
	for _, q := range stats {
		named[q.Name] = queue{q.Waiters, q.WakeUps, q.Spurious, q.Longest.Seconds()}
	}
	return named
}
