//go:build !mutant

package kthread_test

import (
	"fmt"
	"strings"

	"github.com/kprim/kprim/internal/view"
	"github.com/kprim/kprim/waitqueue"
)

// variables are the ops on variables, gates and hooks.
var variables = map[string]op{
	"set": func(a *actor, args []string) string {
		a.w.vars[args[0]] = number(args[1])
		a.w.openGate(args[0])
		return ""
	},
	"add1": func(a *actor, args []string) string { a.w.vars[args[0]]++; a.w.openGate(args[0]); return "" },
	"var":  func(a *actor, args []string) string { return fmt.Sprint(a.w.vars[args[0]]) },
	"test": func(a *actor, args []string) string { return truth(a.cond(args[0])()) },
	"nop":  func(a *actor, args []string) string { return "" },
	"tick": func(a *actor, args []string) string {
		a.w.pass(a.w.tickOf(number(args[0])))
		return ""
	},
	"gate": func(a *actor, args []string) string {
		a.sleep(a.w.gate(args[0]), func() bool { return a.w.ended || a.w.vars[args[0]] > 0 })
		return ""
	},
	"open": func(a *actor, args []string) string { a.w.vars[args[0]] = 1; a.w.openGate(args[0]); return "" },
	"hook": func(a *actor, args []string) string {
		a.w.hooks[args[0]] = &hook{number(args[1]), joined(args[2:])}
		return ""
	},
}

// joined returns the ops that are joined by "&".
func joined(args []string) (list []string) {
	for text := range strings.SplitSeq(strings.Join(args, " "), "&") {
		list = append(list, strings.TrimSpace(text))
	}
	return list
}

func (w *world) gate(name string) *waitqueue.Queue {
	if w.gates[name] == nil {
		w.gates[name] = new(waitqueue.Queue)
	}
	return w.gates[name]
}

// openGate has the waiters of a gate look.
func (w *world) openGate(name string) {
	if g := w.gates[name]; g != nil {
		g.WakeUpAll()
	}
}

// queueing are the ops on entries and queues.
var queueing = map[string]op{
	"entry": func(a *actor, args []string) string { a.w.newEntry(args[0], args[1], args[2]); return "" },
	"add": func(a *actor, args []string) string {
		a.add(args, (*waitqueue.Queue).Add, (*waitqueue.Queue).Prepare)
		return ""
	},
	"addx": func(a *actor, args []string) string {
		a.add(args, (*waitqueue.Queue).AddExclusive, (*waitqueue.Queue).PrepareExclusive)
		return ""
	},
	"addp": func(a *actor, args []string) string {
		a.w.queue(args[0]).AddPriority(a.w.entries[args[1]].Entry)
		return ""
	},
	"addpx": func(a *actor, args []string) string {
		return code(a.w.queue(args[0]).AddPriorityExclusive(a.w.entries[args[1]].Entry))
	},
	"rm":     func(a *actor, args []string) string { a.w.queue(args[0]).Remove(a.w.entries[args[1]].Entry); return "" },
	"flags":  func(a *actor, args []string) string { return fmt.Sprint(a.w.flags(a.w.entries[args[0]].view())) },
	"linked": func(a *actor, args []string) string { return truth(a.w.entries[args[0]].view().Queued) },
	"mkx":    func(a *actor, args []string) string { a.w.entries[args[0]].exclusive = true; return "" },
	"prep": func(a *actor, args []string) string {
		a.w.queue(args[0]).Prepare(a.w.entries[args[1]].Entry, parseState(args[2]))
		return ""
	},
	"prepx": func(a *actor, args []string) string {
		q, e := a.w.queue(args[0]), a.w.entries[args[1]].Entry
		first := !q.Active()
		q.PrepareExclusive(e, parseState(args[2]))
		return truth(first)
	},
	"prepe": prepareEvent,
	"fin":   func(a *actor, args []string) string { a.w.queue(args[0]).Finish(a.w.entries[args[1]].Entry); return "" },
	"queue": func(a *actor, args []string) string {
		q := &a.w.queue(args[0]).Queue
		if k := a.w.completions[args[0]]; k != nil {
			q = k.WaitQueue()
		}
		a.w.note(a.name, strings.TrimSpace("queue "+args[0]+": "+a.w.list(q)))
		return ""
	},
	"active":  func(a *actor, args []string) string { return truth(a.w.queue(args[0]).Active()) },
	"sleeper": func(a *actor, args []string) string { return truth(a.w.queue(args[0]).Active()) },
	"single":  func(a *actor, args []string) string { return truth(len(view.Queue(&a.w.queue(args[0]).Queue)) == 1) },
	"wake": func(a *actor, args []string) string {
		return a.w.wake(args[0], func(q *waitqueue.Queue) int {
			return q.WakeMask(parseState(args[1]), number(args[2]), keyOf(args[3:]))
		})
	},
	"wakeL": func(a *actor, args []string) string {
		a.w.wake(args[0], func(q *waitqueue.Queue) int {
			q.Lock()
			defer q.Unlock()
			return q.WakeHeld(parseState(args[1]), number(args[2]))
		})
		return ""
	},
	"wakesync": func(a *actor, args []string) string {
		a.w.wake(args[0], func(q *waitqueue.Queue) int { return q.WakeMask(parseState(args[1]), 1, nil) })
		return ""
	},
	"pollfree": func(a *actor, args []string) string {
		const hangUpAndFree = 0x4010
		a.w.wake(args[0], func(q *waitqueue.Queue) int { return q.WakeMask(waitqueue.Normal, 0, hangUpAndFree) })
		return ""
	},
}

// prepareEvent is prepare_to_wait_event. An entry that mkx has marked is exclusive.
func prepareEvent(a *actor, args []string) string {
	q, e, s := a.w.queue(args[0]), a.w.entries[args[1]], parseState(args[2])
	switch {
	case s&waitqueue.Interruptible != 0 && a.cur.Task().Interrupted():
		q.Remove(e.Entry)
		return "-512"
	case e.exclusive:
		q.PrepareExclusive(e.Entry, s)
	default:
		q.Prepare(e.Entry, s)
	}
	return "0"
}

func keyOf(args []string) any {
	if len(args) == 0 {
		return nil
	}
	return number(args[0])
}

// add puts an entry on a queue. One whose function takes it off when it is woken is
// a prepared one here.
func (a *actor) add(args []string, add func(*waitqueue.Queue, *waitqueue.Entry), prepare func(*waitqueue.Queue, *waitqueue.Entry, waitqueue.State)) {
	q, e := &a.w.queue(args[0]).Queue, a.w.entries[args[1]]
	switch e.kind {
	case "auto", "fnauto", "fnrm":
		prepare(q, e.Entry, e.Task.State())
	default:
		add(q, e.Entry)
	}
}

// newEntry makes an entry of the given kind.
func (w *world) newEntry(name, kind, arg string) {
	e := &entry{Entry: new(waitqueue.Entry), kind: kind}
	result := func(mask waitqueue.State, key int) int { return number(arg) }
	switch kind {
	case "def", "auto":
		e.Task = w.task(arg)
	case "fndef", "fnauto":
		e.Task = w.task(arg)
		result = func(mask waitqueue.State, _ int) int { return asInt(e.Task.WakeUp(mask)) }
	case "woken", "fnwoken":
		e.woken = waitqueue.NewWokenEntry(w.task(arg))
		e.Entry = &e.woken.Entry
		remember := e.Func
		result = func(mask waitqueue.State, _ int) int { return remember(e.Entry, mask, nil) }
	case "fnkey":
		result = func(_ waitqueue.State, key int) int { return asInt(key&number(arg) != 0) }
	case "fnrm":
		e.Task = new(waitqueue.Task)
	case "fn":
	default:
		w.faults = append(w.faults, "no such entry: "+kind)
	}
	if kind != "def" && kind != "auto" {
		e.Func = func(_ *waitqueue.Entry, mask waitqueue.State, key any) int {
			return w.call(name, kind, mask, key, result)
		}
	}
	w.entries[name] = e
	w.names[e.Entry] = name
}

// call is the wake function of an entry. The kinds that begin with fn tell of it.
func (w *world) call(name, kind string, mask waitqueue.State, key any, result func(waitqueue.State, int) int) int {
	n, _ := key.(int)
	ret := result(mask, n)
	w.results[w.entries[name].Entry] = ret
	if strings.HasPrefix(kind, "fn") {
		w.add(event{by: "call", text: fmt.Sprintf("%s mode %#x key %d", name, uint32(mask), n), ret: fmt.Sprint(ret), evals: -1})
	}
	return ret
}

func asInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// wake wakes, and returns how many exclusive entries were woken, which is the
// kernel's result. Ours, of all woken, must agree with the entries.
func (w *world) wake(name string, wake func(q *waitqueue.Queue) int) string {
	q := &w.queue(name).Queue
	before := view.Queue(q)
	clear(w.results)
	got := wake(q)
	all, exclusive := 0, 0
	for _, e := range before {
		if !w.wasWoken(e) {
			continue
		}
		all++
		exclusive += asInt(e.Exclusive)
	}
	if got != all {
		w.faults = append(w.faults, fmt.Sprintf("a wake-up of %s returned %d, but woke %d", name, got, all))
	}
	return fmt.Sprint(exclusive)
}

// wasWoken reports whether the last walk has woken e. A woken goroutine does not
// run yet.
func (w *world) wasWoken(e view.Entry) bool {
	if result, ok := w.results[e.ID]; ok {
		return result > 0
	}
	if !e.Stays {
		return !view.Of(e.ID).Queued
	}
	if named := w.entries[w.names[e.ID]]; named != nil && named.Func != nil {
		return false // the walk did not come to it
	}
	task := e.Task.(*waitqueue.Task)
	return waitqueue.State(e.State) != waitqueue.Running && task.State() == waitqueue.Running
}
