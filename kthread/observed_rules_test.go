//go:build !mutant

package kthread_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
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
		holds:  (*comparison).evaluations,
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
		holds: func(_ *comparison, m mismatch) bool {
			return m.kind == "result" && m.op[0] == "parent" && m.want == "kthreadd"
		},
	}, {
		name: "comm", cites: "kthread.Info.Comm", line: "cuts inside a character",
		reason: "Ours leaves a character out rather than cut it.",
		holds:  (*comparison).cutName,
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
			return c.depends("prepare_to_wait with default_wake_function") &&
				(m.kind == "missing" && m.actor == "call" || c.ofQueue(m) && m.actor != "call")
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
		name: "stopped worker", cites: "kthread.Worker.Enqueue", line: "a stopped worker",
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
		reason: "nil stands for each time left above 0, and ETIMEDOUT for 0. The test computes the time left from the time that passed.",
	}, {
		name: "handshakes", cites: "kthread.Thread.Info", line: "sleeps in a handshake",
		reason: "A thread that waits in Stop, Park, Flush, CancelSync or Destroy does not show the D of the kernel.",
	}, {
		name: "woken waiters", cites: "waitqueue.Queue.WakeMask", line: "returns the number of all woken",
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
// is true then, the wait ends in the kernel, and all that others do after it is
// otherwise.
func (c *comparison) wakeUpOfAContext(m mismatch) bool {
	switch m.kind {
	case "time":
		return false
	case "evals":
		return slices.Contains(contextWaits, m.op[0]) && number(m.want)-number(m.got) == 2*c.wakeUps(m)
	case "result":
		if (m.op[0] == "wakep" || m.op[0] == "wakes") && m.want == "1" && m.got == "0" {
			return slices.Contains(contextWaits, c.doing(m.op[1], m.step-1))
		}
	}
	for _, f := range c.found {
		if f.kind == "missing" && f.step <= m.step && slices.Contains(contextWaits, f.op[0]) && c.wakes(f.step, f.actor) {
			return m.actor != "." || m.kind == "result"
		}
	}
	return false
}

// wakeUps returns how often the actor of m was woken by its thread while it was in
// the op of m. After each of these the kernel tests twice.
func (c *comparison) wakeUps(m mismatch) (n int) {
	text := strings.Join(m.op, " ")
	for step := m.step; step > 0 && strings.HasSuffix(c.Steps[step-1].Now[m.actor], " in "+text); step-- {
		if c.wakes(step, m.actor) {
			n++
		}
	}
	return n
}

// evaluations is about a wait that ends by a signal or by its time.
func (c *comparison) evaluations(m mismatch) bool {
	if m.kind != "evals" {
		return false
	}
	timed := slices.Contains([]string{"waitt", "waitit", "waitkt", "waitidlet", "waitft", "waitilockt"}, m.op[0])
	apart := number(m.want) - number(m.got)
	return (apart == 1 || apart == -1) && (m.ret == "-512" || m.ret == "-62" || timed && m.ret == "0")
}

// cutName is about a name whose last character is cut there. The observer writes
// each byte of the rest as a character.
func (c *comparison) cutName(m mismatch) bool {
	rest, shorter := strings.CutPrefix(m.want, m.got)
	isASCII := func(r rune) bool { return r < utf8.RuneSelf }
	return m.kind == "result" && m.op[0] == "comm" && shorter && len(m.got)+utf8.RuneCountInString(rest) == 15 &&
		rest != "" && !strings.ContainsFunc(rest, isASCII)
}

// ofQueue reports whether m is about the results of a walk of a queue.
func (c *comparison) ofQueue(m mismatch) bool {
	switch m.kind {
	case "missing", "extra":
		return m.actor == "call" || m.is("queue")
	case "result":
		return m.actor == "call" || slices.Contains([]string{"wake", "linked", "active", "sleeper", "single"}, m.op[0])
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

// goesOn reports whether an actor sleeps in a handshake there, and not here.
func (m mismatch) goesOn() bool {
	return strings.HasPrefix(m.want, "D 0x2 in ") && (m.got == "idle" || m.got == "gone")
}

// hangs reports whether the actor of m hangs in one of these ops in the kernel, and
// has returned from it here. So it can do more than it does there.
func (c *comparison) hangs(m mismatch, ops ...string) bool {
	actor := m.actor
	if m.kind == "missing" && m.is("error:") {
		actor = m.op[1]
	}
	if !slices.Contains(c.Stuck, actor) {
		return false
	}
	inside := slices.Contains(ops, c.doing(actor, m.step))
	switch m.kind {
	case "extra":
		return inside || slices.Contains(ops, m.op[0])
	case "missing":
		return inside && actor != m.actor
	case "state":
		return inside && m.goesOn()
	case "stuck":
		return inside && m.want == "true"
	}
	return false
}

// withdrawnPark is about the parkers of a case, once one has got an error here where
// it goes on waiting there. Any later parker may be the one that hangs there.
func (c *comparison) withdrawnPark(m mismatch) bool {
	lost := map[string]bool{}
	for _, f := range c.found {
		failed := f.is("park") && (f.got == "-4" || f.got == "-38")
		if failed && f.step <= m.step && (f.kind == "extra" && c.doing(f.actor, f.step) == "park" || f.kind == "result" && f.want == "0") {
			lost[f.actor] = true
		}
	}
	if len(lost) == 0 {
		return false
	}
	inPark := c.doing(m.actor, m.step) == "park"
	switch m.kind {
	case "extra":
		return lost[m.actor] || m.is("park") && m.got == "0" && inPark
	case "missing":
		return m.is("park") && lost[m.actor] || m.is("error:") && lost[m.op[1]]
	case "result":
		return m.is("park") && lost[m.actor] && m.want == "0"
	case "state":
		return inPark && m.goesOn()
	case "stuck":
		return inPark && m.want == "true"
	}
	return false
}

// parkAfterStop reports whether a park that the kernel grants was asked for, up to
// the step, when a stop was asked already. After it the thread does other things, and
// so do all that wait for it.
func (c *comparison) parkAfterStop(m mismatch) bool {
	if m.kind == "time" || m.kind == "evals" || m.actor == "." && m.kind != "result" {
		return false
	}
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

// killedCreator is about an actor that is not created in the kernel.
func (c *comparison) killedCreator(m mismatch) bool {
	if m.kind == "result" && m.op[0] == "create" {
		return m.want == "-4" && m.got == "0"
	}
	refused := ""
	for i := range m.step + 1 {
		for _, e := range c.observed(i) {
			if name, ok := strings.CutPrefix(e.text, "create "); ok {
				refused, _, _ = strings.Cut(name, " ")
				if e.ret != "-4" {
					refused = ""
				}
			}
		}
	}
	switch {
	case refused == "":
		return false
	case m.kind == "state":
		return m.actor == refused && m.want == ""
	case m.kind == "extra":
		return m.actor == refused
	case m.kind == "missing":
		return m.is("error:") && m.op[1] == refused
	case m.kind == "result": // of an op that the kernel cannot do
		return m.want == "" && slices.Contains(m.op[1:], refused)
	}
	return false
}

// sharedSignals is about the signals that kill_pid has sent.
func (c *comparison) sharedSignals(m mismatch) bool {
	if m.kind != "result" || !slices.Contains([]string{"pendset", "spendset", "deq"}, m.op[0]) {
		return false
	}
	shared := uint64(0) // a bit for each
	for _, s := range c.Steps[:m.step+1] {
		for _, found := range killPid.FindAllStringSubmatch(s.Step, -1) {
			if n := number(found[1]); n > 0 {
				shared |= 1 << (n - 1)
			}
		}
	}
	if m.op[0] == "deq" {
		return sent(shared, number(m.want)) || sent(shared, number(m.got))
	}
	want, err := strconv.ParseUint(m.want, 10, 64)
	got, err2 := strconv.ParseUint(m.got, 10, 64)
	return err == nil && err2 == nil && (want^got)&^shared == 0
}

func sent(set uint64, n int) bool { return n > 0 && set>>(n-1)&1 != 0 }

var killPid = regexp.MustCompile(`\bkillpid (\d+) `)

// interruptedOnEntry is about a wait that a signal ends here, and a condition there
// that becomes true in its second test. So the hook of that test does not run here.
func (c *comparison) interruptedOnEntry(m mismatch) bool {
	ends := func(m mismatch) bool {
		return m.kind == "result" && m.want == "0" && m.got == "-512" && strings.HasPrefix(m.op[0], "wait") && c.after("hook", m.step)
	}
	return ends(m) || m.kind == "missing" && c.hooked(m) && slices.ContainsFunc(c.found, func(f mismatch) bool {
		return ends(f) && f.step == m.step && f.actor == m.actor
	})
}

// hooked reports whether m is about an op of a hook that has not run here.
func (c *comparison) hooked(m mismatch) bool {
	op := strings.Join(m.op, " ")
	for _, s := range c.playedTo(m.step) {
		if slices.ContainsFunc(s.log, func(e event) bool { return e.by == m.actor && e.text == op }) {
			return false
		}
	}
	for _, s := range c.Steps[:m.step+1] {
		_, hook, _ := strings.Cut(s.Step, "hook ")
		if slices.Contains(joined(strings.Fields(hook)[min(2, len(strings.Fields(hook))):]), op) {
			return true
		}
	}
	return false
}

func (c *comparison) timeAndSignal(m mismatch) bool {
	return m.kind == "result" && m.want == "-512" && m.got == "-62" && c.depends("evaluation")
}

func (c *comparison) formerPriority(m mismatch) bool {
	_, was := c.added("addp", m.step)
	_, taken := c.added("rm", m.step)
	for name := range was {
		if taken[name] {
			return c.ofQueue(m) || m.kind == "result" && m.is("flags") && number(m.want)-number(m.got) == 0x10
		}
	}
	return false
}

// added returns the entries with which an op was begun up to the step, and the kind
// and the argument of all entries.
func (c *comparison) added(op string, step int) (kinds map[string][2]string, names map[string]bool) {
	kinds, names = map[string][2]string{}, map[string]bool{}
	for _, s := range c.Steps[:step+1] {
		_, list, _ := strings.Cut(s.Step, " ")
		for text := range strings.SplitSeq(list, ",") {
			switch w := strings.Fields(text); w[0] {
			case "entry":
				kinds[w[1]] = [2]string{w[2], w[3]}
			case op:
				names[w[2]] = true
			}
		}
	}
	return kinds, names
}

func (c *comparison) unlinkedPriority(m mismatch) bool {
	for _, op := range []string{"addp", "addpx"} {
		kinds, names := c.added(op, m.step)
		for name := range names {
			if kinds[name][0] == "fnrm" && kinds[name][1] != "0" {
				return c.ofQueue(m)
			}
		}
	}
	return false
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
