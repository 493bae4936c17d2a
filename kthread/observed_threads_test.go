//go:build !mutant

package kthread_test

import (
	"fmt"
	"strings"
	"syscall"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// ops are all that a script can say. An op that is not here is in inapplicable, or a
// fault.
var ops map[string]op

func init() {
	ops = map[string]op{}
	for _, group := range []map[string]op{variables, queueing, waits, completionWaits, completing, sleeps, threads, signals, workers} {
		for name, run := range group {
			ops[name] = run
		}
	}
}

// threads are the ops of and on threads.
var threads = map[string]op{
	"wakep": func(a *actor, args []string) string { return truth(a.w.actors[args[0]].thread.WakeUp()) },
	"wakes": func(a *actor, args []string) string {
		woken, mask := a.w.actors[args[0]], parseState(args[1])
		if !woken.begun && mask&waitqueue.Uninterruptible != 0 {
			return truth(woken.thread.WakeUp()) // it may have to start
		}
		return truth(woken.thread.OwnTask().WakeUp(mask))
	},
	"create": func(a *actor, args []string) string {
		a.w.newActor(args[0], append(args, args[0])[1])
		return "0"
	},
	"run": func(a *actor, args []string) string { a.w.newActor(args[0], args[0]).thread.WakeUp(); return "0" },
	"fnops": func(a *actor, args []string) string {
		a.w.actors[args[0]].first = joined(args[1:])
		return ""
	},
	"stop":         func(a *actor, args []string) string { return code(a.w.actors[args[0]].thread.Stop()) },
	"stopput":      func(a *actor, args []string) string { return code(a.w.actors[args[0]].thread.Stop()) },
	"park":         func(a *actor, args []string) string { return code(a.w.actors[args[0]].thread.Park(background)) },
	"unpark":       func(a *actor, args []string) string { a.w.actors[args[0]].thread.Unpark(); return "" },
	"parkme":       func(a *actor, args []string) string { a.cur.ParkMe(); return "" },
	"shouldstop":   func(a *actor, args []string) string { return truth(a.cur.ShouldStop()) },
	"freezestop":   func(a *actor, args []string) string { return truth(a.cur.ShouldStop()) },
	"shouldpark":   func(a *actor, args []string) string { return truth(a.cur.ShouldPark()) },
	"shouldeither": func(a *actor, args []string) string { return truth(a.cur.ShouldStop() || a.cur.ShouldPark()) },
	"comm":         func(a *actor, args []string) string { return a.w.actors[args[0]].thread.Info().Comm() },
	"fullcomm":     func(a *actor, args []string) string { return a.w.actors[args[0]].thread.Name() },
	"parent":       func(a *actor, args []string) string { return "none" },
	"exit": func(a *actor, args []string) string {
		a.w.add(event{by: a.name, text: "exit " + args[0], evals: -1})
		panic(exit{number(args[0]), true})
	},
	"kexit":  func(a *actor, args []string) string { panic(exit{number(args[0]), false}) },
	"doexit": func(a *actor, args []string) string { panic(exit{number(args[0]), false}) },
	"kcexit": func(a *actor, args []string) string {
		if args[0] != "-" {
			a.w.completion(args[0]).Complete()
		}
		panic(exit{number(args[1]), false})
	},
}

// signals are the ops of signals.
var signals = map[string]op{
	"sig":      send,
	"sig1":     send,
	"killpid":  send,
	"allow":    func(a *actor, args []string) string { return fault(a, a.cur.Allow(signalOf(args[0]))) },
	"disallow": func(a *actor, args []string) string { return fault(a, a.cur.Disallow(signalOf(args[0]))) },
	"deq":      func(a *actor, args []string) string { return fmt.Sprint(int(a.cur.Dequeue())) },
	"flush":    func(a *actor, args []string) string { a.other(args).Flush(); return "" },
	"pending":  func(a *actor, args []string) string { return truth(a.other(args).Interrupted()) },
	"sigpending": func(a *actor, args []string) string {
		cur := a.other(args)
		return truth(cur.Thread().PendingSignals() != 0 || cur.Interrupted() && !cur.ShouldStop())
	},
	"fatal": func(a *actor, args []string) string {
		const sigkill = 9 // on Linux, as in the scripts
		return truth(a.other(args).Thread().PendingSignals()&(1<<(sigkill-1)) != 0)
	},
	"pendset":  func(a *actor, args []string) string { return fmt.Sprint(a.other(args).Thread().PendingSignals()) },
	"spendset": func(a *actor, args []string) string { return "0" },
}

func send(a *actor, args []string) string {
	return code(a.w.actors[args[1]].thread.Signal(signalOf(args[0])))
}

func signalOf(text string) syscall.Signal { return syscall.Signal(number(text)) }

// fault notes an error that the kernel's function cannot have.
func fault(a *actor, err error) string {
	if err != nil {
		a.w.faults = append(a.w.faults, err.Error())
	}
	return ""
}

// other returns the thread that args name, or the actor's own.
func (a *actor) other(args []string) *kthread.Current {
	if len(args) == 0 {
		return a.cur
	}
	return a.w.actors[args[0]].thread.Own()
}

// A work is a work of a script, delayed or not.
type work struct {
	w       *world
	name    string
	runs    int
	prog    []string
	worker  string // that it was queued on last
	plain   *kthread.Work
	delayed *kthread.DelayedWork
}

// work returns the work that has this name. A name with d is of a delayed one.
func (w *world) work(name string) *work {
	if k := w.works[name]; k != nil {
		return k
	}
	k := &work{w: w, name: name}
	if strings.HasPrefix(name, "d") {
		k.delayed = &kthread.DelayedWork{Func: k.run}
	} else {
		k.plain = &kthread.Work{Func: k.run}
	}
	w.works[name] = k
	return k
}

// run is the function of the work. It runs on the thread of its worker, which is an
// actor as long as it runs.
func (k *work) run() {
	a := k.w.workerActor(k.worker)
	k.runs++
	run := k.runs
	k.w.add(event{by: a.name, text: fmt.Sprintf("work %s run %d start", k.name, run), evals: -1})
	if !k.w.ended {
		a.all(k.prog)
	}
	k.w.add(event{by: a.name, text: fmt.Sprintf("work %s run %d end", k.name, run), evals: -1})
}

func (w *world) workerActor(name string) *actor {
	thread := threadOf(w.workers[name])
	a := &actor{w: w, name: name, thread: thread, cur: thread.Own(), begun: true}
	w.byGoroutine.Store(goroutine(), a)
	return a
}

// pending reports whether a work is pending, or its timer armed.
func (k *work) pending() bool {
	if k.plain != nil {
		return k.plain.Pending()
	}
	return k.delayed.Pending()
}

// on calls queue for a work on a worker. The work may belong to another worker.
func (k *work) on(worker string, queue func(runner) bool) (ret string) {
	before := k.worker
	k.worker = worker
	defer func() {
		if ret == "" { // it panics
			k.worker = before
		}
	}()
	return truth(queue(k.w.workers[worker]))
}

// queue is kthread_queue_work of any work.
func (k *work) queue(w runner) bool {
	if k.plain != nil {
		return w.Enqueue(k.plain)
	}
	return w.EnqueueAfter(k.delayed, 0)
}

// workers are the ops of workers and works.
var workers = map[string]op{
	"wcreate": func(a *actor, args []string) string { a.w.makeRunner(args[0], kthread.CreateWorker); return "0" },
	"wrun":    func(a *actor, args []string) string { a.w.makeRunner(args[0], kthread.RunWorker); return "0" },
	"wstart":  func(a *actor, args []string) string { return truth(threadOf(a.w.workers[args[0]]).WakeUp()) },
	"winit":   func(a *actor, args []string) string { delete(a.w.works, args[0]); a.w.work(args[0]); return "" },
	"wprog":   func(a *actor, args []string) string { a.w.work(args[0]).prog = joined(args[1:]); return "" },
	"wq": func(a *actor, args []string) string {
		k := a.w.work(args[1])
		return k.on(args[0], k.queue)
	},
	"wdq": func(a *actor, args []string) string {
		k := a.w.work(args[1])
		return k.on(args[0], func(w runner) bool { return w.EnqueueAfter(k.delayed, a.duration(args[2])) })
	},
	"wdmod": func(a *actor, args []string) string {
		k := a.w.work(args[1])
		return k.on(args[0], func(w runner) bool { return w.ModDelayed(k.delayed, a.duration(args[2])) })
	},
	"wflush": func(a *actor, args []string) string {
		if k := a.w.work(args[0]); k.plain != nil {
			return failed(k.plain.Flush(background))
		}
		return failed(a.w.work(args[0]).delayed.Flush(background))
	},
	"wflushall": func(a *actor, args []string) string { return failed(a.w.workers[args[0]].Flush(background)) },
	"wcancel":   cancelWork,
	"wdcancel":  cancelWork,
	"wdestroy":  func(a *actor, args []string) string { return failed(a.w.workers[args[0]].Destroy(background)) },
	"wstop":     func(a *actor, args []string) string { return code(threadOf(a.w.workers[args[0]]).Stop()) },
	"wpark":     func(a *actor, args []string) string { return code(threadOf(a.w.workers[args[0]]).Park(background)) },
	"runs":      func(a *actor, args []string) string { return fmt.Sprint(a.w.work(args[0]).runs) },
	"wpending":  func(a *actor, args []string) string { return truth(a.w.work(args[0]).pending()) },
	"wstate":    func(a *actor, args []string) string { return stateOrUnknown(threadOf(a.w.workers[args[0]])) },
}

// stateOrUnknown returns the state of a worker. One that waits for a work of its own
// in a semaphore does not show it.
func stateOrUnknown(t *kthread.Thread) string {
	if s := t.Info().State; s != waitqueue.Running {
		return stateText(s)
	}
	return "?"
}

func cancelWork(a *actor, args []string) string {
	k := a.w.work(args[0])
	var pending bool
	var err error
	if k.plain != nil {
		pending, err = k.plain.CancelSync(background)
	} else {
		pending, err = k.delayed.CancelSync(background)
	}
	if err != nil {
		return failed(err)
	}
	return truth(pending)
}

// failed returns the error of a call that the kernel gives no result.
func failed(err error) string {
	if err == nil {
		return ""
	}
	return code(err)
}
