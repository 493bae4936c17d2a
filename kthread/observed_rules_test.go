package kthread_test

import (
	"slices"
	"strings"
)

// A rule names a difference between the kernel and this library.
type rule struct {
	name   string
	cites  string // the symbol whose Differs: line says so
	line   string // a piece of that line
	reason string
	holds  func(c *comparison, m mismatch) bool
}

// differences are all that the cases show. Each row cites a Differs: line.
var differences = []rule{
	{
		name: "evaluations", cites: "waitqueue.Queue.Wait", line: "How often cond runs is not promised",
		reason: "The condition is tested once more, or once less, at an end that is not a wake-up.",
		holds:  func(_ *comparison, m mismatch) bool { return m.kind == "evals" },
	}, {
		name: "deadline", cites: "waitqueue.Queue.Wait", line: "a sleep with a deadline is interruptible here",
		reason: "The wait sleeps in state S, where wait_event_timeout has D.",
		holds:  (*comparison).deadline,
	}, {
		name: "wake-up of a wait with a context", cites: "kthread.Thread.WakeUp", line: "does not reach a wait with a context",
		reason: "Such a wait does not sleep with the thread's task, so it is not woken, and does not test again.",
		holds:  (*comparison).wakeUpOfAContext,
	}, {
		name: "park that is withdrawn", cites: "kthread.Thread.Park", line: "a park that is withdrawn",
		reason: "The kernel's parker hangs, or gets the answer to the next park. Ours gets an error.",
		holds:  (*comparison).withdrawnPark,
	}, {
		name: "park after a stop", cites: "kthread.Thread.Park", line: "park after a stop",
		reason: "The kernel parks a thread that should stop. Ours refuses, so all that comes after it is otherwise.",
		holds:  (*comparison).parkAfterStop,
	}, {
		name: "second stop", cites: "kthread.Thread.Stop", line: "a second stop is allowed",
		reason: "The kernel's second stopper hangs, and so does a thread that stops itself. Ours get an answer.",
		holds:  func(c *comparison, m mismatch) bool { return c.hangs(m, "stop", "stopput") },
	}, {
		name: "killed creator", cites: "kthread.Create", line: "cannot fail",
		reason: "A pending SIGKILL of the creator makes kthread_create fail.",
		holds:  (*comparison).killedCreator,
	}, {
		name: "parent", cites: "kthread.Create", line: "has no parent",
		reason: "Goroutines have no parent that could be asked for.",
		holds:  func(_ *comparison, m mismatch) bool { return m.kind == "result" && m.op[0] == "parent" },
	}, {
		name: "comm", cites: "kthread.Info.Comm", line: "cuts inside a character",
		reason: "Ours leaves a character out rather than cut it.",
		holds:  func(_ *comparison, m mismatch) bool { return m.kind == "result" && m.op[0] == "comm" },
	}, {
		name: "one set of signals", cites: "kthread.Thread.Signal", line: "one set of pending signals",
		reason: "kill_pid sends to the process there. Its signals are dequeued after the thread's own.",
		holds:  (*comparison).sharedSignals,
	}, {
		name: "interrupted on entry", cites: "waitqueue.Queue.Wait", line: "on entry means once",
		reason: "The condition comes true between the first test and a second one, which ours does not make.",
		holds:  (*comparison).interruptedOnEntry,
	}, {
		name: "time over and a signal at once", cites: "kthread.Current.WaitTimeout", line: "time wins",
		reason: "The signal comes after the timer, before the last test of the kernel.",
		holds:  (*comparison).timeAndSignal,
	}, {
		name: "prepared with default_wake_function", cites: "waitqueue.Queue.Prepare", line: "default_wake_function",
		reason: "The entry stays queued there.",
		holds: func(c *comparison, m mismatch) bool {
			return c.depends("prepare_to_wait with default_wake_function") && (m.is("linked") || m.is("queue") || m.is("wake") || m.actor == "call")
		},
	}, {
		name: "priority that stays", cites: "waitqueue.Queue.Add", line: "priority",
		reason: "An entry that was a priority entry before stays one there.",
		holds:  (*comparison).formerPriority,
	}, {
		name: "functions that unlink", cites: "waitqueue.Entry.Func", line: "take its entry off",
		reason: "A function cannot take a priority entry off, because only prepared entries leave.",
		holds:  (*comparison).unlinkedPriority,
	}, {
		name: "stopped worker", cites: "kthread.Worker.Queue", line: "a stopped worker",
		reason: "The kernel's takes works and never runs them. A flush of them hangs.",
		holds:  (*comparison).stoppedWorker,
	}, {
		name: "two workers", cites: "kthread.Work", line: "Here that panics",
		reason: "The kernel warns and runs the work there.",
		holds:  (*comparison).twoWorkers,
	}, {
		name: "worker that parks", cites: "kthread.Worker", line: "its thread can be parked",
		reason: "kthread_worker_fn never looks, so the parker hangs.",
		holds:  (*comparison).parkedWorker,
	}, {
		name: "worker that waits for itself", cites: "kthread.Worker.Flush", line: "the kernel waits for itself for ever",
		reason: "Ours gets EDEADLK.",
		holds:  (*comparison).waitsForItself,
	}, {
		name: "flush of an armed work", cites: "kthread.DelayedWork.Flush", line: "on an armed delayed work hangs",
		reason: "Ours runs it at once.",
		holds:  (*comparison).flushOfArmed,
	},
}

// translations say how a result of the kernel is written here. They hold in all
// cases, so they make none differ.
var translations = []rule{
	{
		name: "time left", cites: "waitqueue.Queue.Wait", line: "no remaining time is returned",
		reason: "nil stands for each time left above 0, and ETIMEDOUT for 0.",
	}, {
		name: "handshakes", cites: "kthread.Thread.Info", line: "sleeps in a handshake",
		reason: "A thread that waits in Stop, Park, Flush, CancelSync or Destroy does not show the D of the kernel.",
	}, {
		name: "woken waiters", cites: "waitqueue.Queue.Wake", line: "returns the number of all woken",
		reason: "The test counts the exclusive ones of them, and holds the number of all to the entries.",
	}, {
		name: "first in the queue", cites: "waitqueue.Queue.PrepareExclusive", line: "whether the queue was empty",
		reason: "The test looks into the queue.",
	}, {
		name: "jiffies", cites: "waitqueue.Task.ScheduleTimeout", line: "not jiffies",
		reason: "The kernel's timer of n jiffies fires n+1 ticks later, ours after a time. The test asks for the time to that tick.",
	},
}

// doing returns the op in which actor is after the step, in the kernel.
func (c *comparison) doing(actor string, step int) (op string) {
	if step < 0 {
		return ""
	}
	_, op, _ = strings.Cut(c.Steps[step].Now[actor], " in ")
	op, _, _ = strings.Cut(op, " ")
	return op
}

var contextWaits = []string{"wait", "waitt", "waithr", "waitlock", "waitcmd", "wc", "wcio", "wct"}

func (c *comparison) deadline(m mismatch) bool {
	return m.kind == "state" && slices.Contains([]string{"waitt", "waithr", "wct"}, c.doing(m.actor, m.step)) &&
		strings.Replace(m.want, "D 0x2 ", "S 0x1 ", 1) == m.got
}

// wakeUpOfAContext is about a wake-up of a thread in such a wait. If the condition
// is true then, the wait ends in the kernel, and all that follows is otherwise.
func (c *comparison) wakeUpOfAContext(m mismatch) bool {
	if m.kind == "result" && (m.op[0] == "wakep" || m.op[0] == "wakes") && m.want == "1" && m.got == "0" {
		return slices.Contains(contextWaits, c.doing(m.op[1], m.step-1))
	}
	for _, f := range c.found {
		if f.kind == "missing" && f.step <= m.step && slices.Contains(contextWaits, f.op[0]) && c.wakes(f.step, f.actor) {
			return true
		}
	}
	return false
}

// wakes reports whether a step wakes the actor by its thread.
func (c *comparison) wakes(step int, actor string) bool {
	_, list, _ := strings.Cut(c.Steps[step].Step, " ")
	for text := range strings.SplitSeq(list, ",") {
		op := strings.Fields(text)
		if slices.Contains([]string{"wakep", "wakes", "stop", "stopput", "park"}, op[0]) && op[1] == actor {
			return true
		}
	}
	return false
}

// hangs reports whether the actor of m hangs in one of these ops in the kernel, and
// has returned from it here.
func (c *comparison) hangs(m mismatch, ops ...string) bool {
	if !slices.Contains(c.Stuck, m.actor) {
		return false
	}
	switch m.kind {
	case "extra":
		return slices.Contains(ops, m.op[0])
	case "state", "stuck":
		return slices.Contains(ops, c.doing(m.actor, m.step))
	}
	return false
}

// withdrawnPark is about the parkers of a case, once a park has got an error here
// that it does not get there.
func (c *comparison) withdrawnPark(m mismatch) bool {
	withdrawn := false
	parkers := map[string]bool{}
	for _, s := range c.playedTo(m.step) {
		for _, e := range s.log {
			if strings.HasPrefix(e.text, "park ") {
				parkers[e.by] = true
				withdrawn = withdrawn || e.ret == "-4" || e.ret == "-38"
			}
		}
	}
	if m.is("error:") {
		return withdrawn && parkers[m.op[1]]
	}
	return withdrawn && (m.is("park") || m.kind == "stuck" && parkers[m.actor])
}

// parkAfterStop reports whether a park that the kernel grants was asked for, up to
// the step, when a stop was asked already.
func (c *comparison) parkAfterStop(m mismatch) bool {
	granted := map[string]bool{} // parkers that got their answer
	for i := range c.Steps {
		for _, e := range c.observed(i) {
			granted[e.by] = granted[e.by] || strings.HasPrefix(e.text, "park ") && e.ret == "0"
		}
	}
	for i, s := range c.playedTo(m.step) {
		for _, e := range s.log {
			if strings.HasPrefix(e.text, "park ") && e.ret == "-4" && granted[e.by] && c.after("stop", i) {
				return true
			}
		}
	}
	return false
}

func (c *comparison) killedCreator(m mismatch) bool {
	created := func(step int) string { // by a creator that fails in the kernel
		for _, e := range c.observed(step) {
			if name, ok := strings.CutPrefix(e.text, "create "); ok && e.ret == "-4" {
				return name
			}
		}
		return ""
	}
	switch m.kind {
	case "result":
		return m.op[0] == "create" && m.want == "-4"
	case "state":
		return m.want == "" && slices.ContainsFunc([]int{0, 1, 2, 3, 4, 5}, func(back int) bool {
			return m.step-back >= 0 && created(m.step-back) == m.actor
		})
	}
	return false
}

func (c *comparison) sharedSignals(m mismatch) bool {
	return m.kind == "result" && slices.Contains([]string{"pendset", "spendset", "deq", "pending"}, m.op[0]) && c.after("killpid", m.step)
}

func (c *comparison) interruptedOnEntry(m mismatch) bool {
	return m.kind == "result" && m.want == "0" && m.got == "-512" && strings.HasPrefix(m.op[0], "wait") && c.after("hook", m.step) ||
		m.kind == "missing" && c.hooked(m)
}

// hooked reports whether m is about an op of a hook.
func (c *comparison) hooked(m mismatch) bool {
	for _, s := range c.Steps[:m.step+1] {
		if strings.Contains(s.Step, "hook ") && strings.Contains(s.Step, strings.Join(m.op, " ")) {
			return true
		}
	}
	return false
}

func (c *comparison) timeAndSignal(m mismatch) bool {
	return m.kind == "result" && m.want == "-512" && m.got == "-62" && c.depends("evaluation")
}

func (c *comparison) formerPriority(m mismatch) bool {
	return c.after("addp", m.step) && c.after("rm", m.step) && c.after("add", m.step) &&
		(m.kind == "missing" || m.kind == "extra")
}

func (c *comparison) unlinkedPriority(m mismatch) bool {
	for _, s := range c.Steps[:m.step] {
		if strings.Contains(s.Step, " fnrm ") {
			return c.after("addp", m.step) || c.after("addpx", m.step)
		}
	}
	return false
}

func (c *comparison) stoppedWorker(m mismatch) bool {
	if !c.after("wstop", m.step) {
		return false
	}
	return m.kind == "result" && slices.Contains([]string{"wq", "wdq", "wdmod", "wpending", "wcancel", "wdcancel"}, m.op[0]) ||
		c.hangs(m, "wflush", "wflushall", "wdestroy", "wstop")
}

// twoWorkers is about all that comes after the panic.
func (c *comparison) twoWorkers(m mismatch) bool {
	for _, s := range c.playedTo(m.step) {
		if slices.ContainsFunc(s.log, func(e event) bool { return strings.Contains(e.ret, "with one worker only") }) {
			return true
		}
	}
	return false
}

func (c *comparison) parkedWorker(m mismatch) bool {
	if !c.after("wpark", m.step) {
		return false
	}
	return c.hangs(m, "wpark") || m.is("wstate") || m.is("work") || m.is("runs")
}

// waitsForItself is about a work that waits for its own worker, which hangs there.
func (c *comparison) waitsForItself(m mismatch) bool {
	hung := ""
	for _, s := range c.playedTo(m.step) {
		for _, e := range s.log {
			if e.ret == "-35" && c.isWorker(e.by) {
				hung = e.by
			}
		}
	}
	return hung != "" && (m.actor == hung || m.kind == "result" && strings.HasPrefix(m.op[0], "w") ||
		m.kind == "result" && m.op[0] == "runs" || c.hangs(m, "wflush", "wflushall", "wcancel", "wdcancel", "wdestroy", "wstop"))
}

func (c *comparison) isWorker(name string) bool {
	return len(name) > 1 && strings.HasPrefix(name, "W")
}

func (c *comparison) flushOfArmed(m mismatch) bool {
	return c.hangs(m, "wflush") && c.after("wdq", m.step) ||
		c.after("wflush", m.step) && len(c.Stuck) > 0 && m.is("work") && strings.HasPrefix(m.op[1], "d")
}

// playedTo returns the steps as they were here, up to this one.
func (c *comparison) playedTo(step int) []playedStep { return c.played[:min(step+1, len(c.played))] }

// after reports whether an op was begun in this step or before it.
func (c *comparison) after(op string, step int) bool {
	for _, s := range c.Steps[:step+1] {
		_, list, _ := strings.Cut(s.Step, " ")
		for text := range strings.SplitSeq(list, ",") {
			if strings.Fields(text)[0] == op {
				return true
			}
		}
	}
	return false
}

// A group of scripts says nothing of this library.
type foreign struct {
	name string
	is   func(c observedCase) bool
}

// foreigners are the cases that cannot be done here.
var foreigners = []foreign{
	{"a user process, whose signals kill it", has("user")},
	{"a semaphore: golang.org/x/sync has one", has("seminit", "down", "downi", "downk", "downtry", "downt", "up", "semcount")},
	{"a rw_semaphore: sync.RWMutex is one, which nothing ends", has("dread", "dreadk", "dwrite", "dwritek", "dreadtry", "dwritetry", "uread", "uwrite", "downgrade")},
	{"a SIGKILL that ends a killable sleep: there is no killable sleep", observedCase.killed},
	{"a CPU of its own: Go places goroutines itself", has("bind", "createcpu")},
	{"the function and the data of a thread: a closure has its data", has("isfn", "isdata")},
	{"a sender inside the kernel: all senders are in one program", has("allowk")},
}

func has(names ...string) func(observedCase) bool {
	return func(c observedCase) bool {
		return slices.ContainsFunc(c.ops(), func(op []string) bool { return slices.Contains(names, op[0]) })
	}
}

// killed reports whether a SIGKILL that was allowed meets a killable sleep.
func (c observedCase) killed() bool {
	allowed := slices.ContainsFunc(c.ops(), func(op []string) bool { return op[0] == "allow" && op[1] == "9" })
	sleeps := slices.ContainsFunc(c.ops(), func(op []string) bool {
		return slices.Contains([]string{"waitk", "waitkx", "waitkt", "schedtk", "wck", "wckt"}, op[0]) || op[len(op)-1] == "K" ||
			op[0] == "woken" && op[2] == "K"
	})
	return allowed && sleeps
}

// inapplicable returns why the case cannot be done here, or "".
func (c observedCase) inapplicable() string {
	for _, f := range foreigners {
		if f.is(c) {
			return f.name
		}
	}
	return ""
}
