package waitqueue_test

import (
	"testing"

	"github.com/kprim/kprim/internal/models"
)

// In each mutant some order must be bad.
var mutants = []models.Mutant{
	{
		// Waiter: test. Waker: set, wake nobody. Waiter: queue, sleep.
		Name: "test before queueing", By: "OneWaiterOneWaker", File: "waitqueue.go",
		Old: "\t\tdone := cond()\n\t\tpoint.At(\"tested\", e)\n",
		New: "\t\tq.leave(e)\n\t\tdone := cond()\n\t\tpoint.At(\"tested\", e)\n\t\tif !done {\n\t\t\tq.enter(e)\n\t\t}\n",
	}, {
		// A and B sleep. Waker: wake. B takes the token.
		Name: "the last exclusive waiter first", By: "FirstComeFirstServed", File: "entry.go",
		Old: "q.linkBehind(q.tail, e)", New: "q.linkBehind(q.lastPriority(), e)",
	}, {
		// Waker: wake; the watcher uses up the one wake-up, the taker sleeps on.
		Name: "ordinary waiters use up the budget", By: "WatcherAndTaker", File: "waitqueue.go",
		Old: "\t\tif exclusive {\n\t\t\tif n--", New: "\t\t{\n\t\t\tif n--",
	}, {
		// A is ended, and tests while it is still to be found. Waker: put a
		// token, wake A. A returns its error, B sleeps on.
		Name: "a cancel swallows a wake-up", By: "TrueBeforeTheEnd", File: "waitqueue.go",
		Old: "\te.off = !picked // during the test, see endWait\n\tdone := cond()\n", New: "\tq.enter(e)\n\t_ = picked\n\tdone := cond()\n",
	}, {
		// Waiter: test. The condition comes true, then the end. The waiter
		// returns the error.
		Name: "no test after an interruption", By: "TrueBeforeTheEnd", File: "waitqueue.go",
		Old: "\tdone := cond()\n\te.off = true\n", New: "\tdone := false\n\te.off = true\n",
	}, {
		// Waiter: test, has its place. Waker: set, take it off the queue.
		// Waiter: sleep, and nobody will find it.
		Name: "a wake-up before the sleep is lost", By: "WaitHeld", File: "task.go",
		Old: "\tif !sleeps(b.word.Load()) {\n", New: "\tif b.word.Load()&interrupted != 0 {\n",
	}, {
		// A sleeps. B takes the first token on its way. Waker: put the second
		// one, wake B, which does not need it.
		Name: "a wake-up that was not needed is kept", By: "TwoTokens", File: "waitqueue.go",
		Old: "\t\t\tif q.leave(e) && exclusive {\n\t\t\t\tq.WakeUp()\n", New: "\t\t\tif q.leave(e) && exclusive {\n",
	}, {
		// A is interrupted before it sleeps. It takes the first token, while the
		// wake-up for the second one picks it. B sleeps on.
		Name: "a task tests while it can be picked", By: "TwoTokensAndCancel", File: "waitqueue.go",
		Old: "\t\t\tt.setState(Running)\n", New: "",
	}, {
		// The same with a context that ends.
		Name: "an ended waiter tests while it can be picked", By: "TwoTokensAndCancel", File: "waitqueue.go",
		Old: "if woken && cond() {", New: "if cond() {",
	}, {
		// Signal, which picks A. A is ended. A gives up, B sleeps on.
		Name: "a cancel swallows a Signal", By: "CondSignalAndCancel", File: "cond.go",
		Old: "picked := e.off || c.queue.leave(e)\n", New: "picked := (e.off || c.queue.leave(e)) && ctx.Err() == nil\n",
	}, {
		// Waiter: queue. First Signal: takes it off, and finds nobody asleep.
		// Waiter: announce, sleep. Second Signal: nobody is there.
		Name: "a waiter of a Cond is queued before it announces its sleep", By: "CondSignalWithoutTheLock", File: "cond.go",
		Old: "\t\te.Task.announce(e.state)\n\t}\n\t// On the queue before L is free: a Signal that comes after that finds it.\n\tc.queue.queueUp(e)\n\tpoint.At(\"queued\", e)\n",
		New: "\t}\n\tc.queue.queueUp(e)\n\tpoint.At(\"queued\", e)\n\tif e.Task != nil {\n\t\te.Task.announce(e.state)\n\t}\n",
	}, {
		// Waiter: unlock. Signal: nobody is there. Waiter: queue, sleep.
		Name: "a waiter of a Cond is queued after it has released L", By: "CondSignalAndCancel", File: "cond.go",
		Old: "\tc.queue.queueUp(e)\n\tpoint.At(\"queued\", e)\n\te.off = false\n\tmu, _ := c.L.(*sync.Mutex)\n\tif mu != nil { // Optimization: it cannot panic, so it needs no defer.\n\t\tmu.Unlock()\n\t} else {\n\t\tattempt(func() { c.L.Unlock() }, func() { c.queue.endWait(e) })\n\t}\n",
		New: "\tmu, _ := c.L.(*sync.Mutex)\n\tc.L.Unlock()\n\tc.queue.queueUp(e)\n\tpoint.At(\"queued\", e)\n\te.off = false\n",
	}, {
		// Waker: claim. Waiter: the condition is true, wait again, sleep. Waker:
		// signal, which wakes the other wait.
		Name: "a claim during the last test is forgotten", By: "LateSignal", File: "task.go",
		Old: "\tt.stray = t.stray || claimed && t.announced\n", New: "\t_ = claimed\n",
	}, {
		Name: "a wait leaves without a look at its announcement", By: "LateSignal", File: "sleeper.go",
		Old: "\t\tt.run()\n", New: "\t\tt.SetState(Running)\n",
	}, {
		// The same, when the claim comes between the test and the sleep.
		Name: "a claim before the sleep is forgotten", By: "LateSignal", File: "task.go",
		Old: "\t\tb.stray = true\n", New: "",
	}, {
		Name: "a task whose signal is on its way is used again", By: "LateSignal", File: "sleeper.go",
		Old: "if t.pooled && !t.stray {", New: "if t.pooled {",
	}, {
		// Waiter: announce. Observer: it sleeps; wake nobody. Waiter: queue.
		Name: "the state is seen before the entry", By: "TheStateIsSeenAfterTheEntry", File: "sleeper.go", Plain: true,
		Old: "\tq.mu.Lock()\n\tif e.queue == nil {\n",
		New: "\tif e.Task != nil {\n\t\te.Task.announce(e.state)\n\t}\n\tpoint.At(\"announced\", e)\n\tq.mu.Lock()\n\tif e.queue == nil {\n",
	}, {
		Name: "the state of a prepared task is seen before its entry", By: "TheStateIsSeenAfterTheEntry", File: "entry.go", Plain: true,
		Old: "\tq.lockFor(e)\n\tdefer q.mu.Unlock()\n\tif e.queue == nil {\n",
		New: "\tq.lockFor(e)\n\tdefer q.mu.Unlock()\n\te.Task.SetState(s)\n\tmake(kick, 1).unpark() // has a point\n\tif e.queue == nil {\n",
	}, {
		// Walk: off the queue. Another waker: claim. Walk: back, behind the others.
		Name: "an entry whose claim was lost goes to the end", By: "LostClaimKeepsItsPlace", File: "waitqueue.go", Plain: true,
		Old: "\t\tq.linkBehind(before, e)\n", New: "\t\t_ = before\n\t\tq.link(e)\n",
	}, {
		// Waker: claim. Task: wait on another queue. Waker: take the entry off that.
		Name: "a walk claims before it unlinks", By: "LostClaimKeepsItsPlace", File: "waitqueue.go", Plain: true,
		Old: "\tif kind != added {\n\t\tq.unlink(e)\n\t}\n\tpoint.At(\"claim\", e)\n\tif t.claim(mask, flag) {\n",
		New: "\tclaimed := t.claim(mask, flag)\n\tpoint.At(\"claim\", e)\n\tif kind != added {\n\t\tq.unlink(e)\n\t}\n\tif claimed {\n",
	}, {
		Name: "a sole waiter is claimed before it is unlinked", By: "LostClaimOfASoleWaiter", File: "waitqueue.go", Plain: true,
		Old: "\tq.head, q.tail, e.queue = nil, nil, nil // Unlink before claiming, see pick.\n\tpoint.At(\"claim\", e)\n\twoken := t.claim(mask, taken)\n",
		New: "\twoken := t.claim(mask, taken)\n\tpoint.At(\"claim\", e)\n\tq.head, q.tail, e.queue = nil, nil, nil\n",
	}, {
		// Waiter: test. The condition comes true, then the end. Waiter: look at the
		// context, return the error.
		Name: "the end is sampled after the test", By: "TrueBeforeTheEnd", File: "waitqueue.go",
		Old: "\tif cond() {\n\t\treturn nil\n\t}\n\tif err != nil {\n\t\treturn err\n\t}\n\te, end",
		New: "\tif cond() {\n\t\treturn nil\n\t}\n\tif t == nil {\n\t\terr = ContextErr(ctx)\n\t} else if t.Interrupted() {\n\t\terr = errInterrupted\n\t}\n\tif err != nil {\n\t\treturn err\n\t}\n\te, end",
	}, {
		// Waiter: test, no token. Completion: wake nobody. Waiter: sleep. Token.
		// Waker: the task is awake, so wake nobody. Waiter: announce, find nothing
		// remembered, sleep. Waker: remember.
		Name: "a wake-up is remembered after it was spent", By: "WokenEntry", File: "woken.go",
		Old: "\te.woken.Store(true)\n\tpoint.At(\"remembered\", &e.Entry)\n\tif e.Task.WakeUp(mask) {\n",
		New: "\twoken := e.Task.WakeUp(mask)\n\tpoint.At(\"remembered\", &e.Entry)\n\te.woken.Store(true)\n\tif woken {\n",
	}, {
		// Waiter: find nothing remembered. Waker: remember, wake nobody. Waiter:
		// announce, sleep.
		Name: "the remembered wake-up is looked at before the sleep is announced", By: "WokenEntry", File: "woken.go",
		Old: "\te.Task.SetState(s)\n\tif !e.woken.Load() && (unless == nil || !unless()) {\n",
		New: "\tif !e.woken.Load() && (unless == nil || !unless()) {\n\t\te.Task.SetState(s)\n",
	}, {
		// A: test, release the lock. Waker: put a token, wake nobody. A: queue, sleep.
		Name: "a waiter with a lock is queued after it has released it", By: "TaskWaitExclusiveLocked", File: "waitqueue.go",
		Old: "\t\tif l != nil {\n\t\t\tl.Unlock()\n\t\t}\n",
		New: "\t\tif l != nil {\n\t\t\tq.leave(e)\n\t\t\tl.Unlock()\n\t\t\tq.enter(e)\n\t\t}\n",
	}, {
		// Waiter: sleep. Waker: set. Deadline. Waiter: look at the time only.
		Name: "the time is looked at before the condition", By: "WaitLockedTimeout", File: "timeout.go",
		Old: "\t\tif cond() {\n\t\t\treturn true\n\t\t}\n\t\tleft := time.Until(deadline)\n",
		New: "\t\tleft := time.Until(deadline)\n\t\tif left > 0 && cond() {\n\t\t\treturn true\n\t\t}\n",
	}, {
		// Waiter: sleep. Deadline. Waiter: go on, as if the condition were true.
		Name: "time that is over counts as success", By: "WaitLockedTimeout", File: "timeout.go",
		Old: "\tif over {\n\t\treturn errTimedOut\n\t}\n", New: "",
	}, {
		Name: "a completion wakes before it adds the token", By: "CompletionBarging", File: "completion.go",
		Old: "\tfor n := c.done.Load(); n != forever && !c.done.CompareAndSwap(n, n+1); {\n\t\tn = c.done.Load()\n\t}\n\tpoint.At(\"added\", nil)\n\tc.queue.WakeUp()\n",
		New: "\tc.queue.WakeUp()\n\tpoint.At(\"added\", nil)\n\tfor n := c.done.Load(); n != forever && !c.done.CompareAndSwap(n, n+1); {\n\t\tn = c.done.Load()\n\t}\n",
	}, {
		// A: panic on the queue, give the task back. B: wait with the task. A: take the
		// entry off the queue. B sleeps on.
		Name: "a wait gives its task back before it has left the queue", By: "TheTaskOfAWaitThatPanics", File: "sleeper.go",
		Old: "func (q *Queue) endWait(e *Entry) {\n",
		New: "func (q *Queue) endWait(e *Entry) {\n\tif t := e.Task; t != nil && t.carrier != nil {\n\t\tt.waiting = false\n\t\tt.carrier.giveBack()\n\t\tpoint.At(\"tested\", e)\n\t}\n",
	}, {
		// A: sleep. Stop. The end: nobody tells A.
		Name: "stop during a wait forgets the end", By: "OneTaskForTwo", File: "taskcontext.go",
		Old: "if c.use.Or(stopped) == 0 && c.forget != nil {", New: "if c.use.Or(stopped); c.forget != nil {",
	}, {
		// A has the task. B takes it too.
		Name: "two waits have the task", By: "OneTaskForTwo", File: "taskcontext.go",
		Old: "\tif !c.use.CompareAndSwap(0, lent) {\n\t\treturn false\n\t}\n", New: "\tc.use.Or(lent)\n",
	}, {
		// Waker: claim. Waiter: the condition is true, wait on a Cond. Waker: signal.
		Name: "a stray signal ends a wait on a Cond", By: "LateSignalAndACond", File: "cond.go",
		Old: "\t\tfor sleeps(t.word.Load()) {\n\t\t\tt.parked.Wait()\n\t\t}\n", New: "",
	}, {
		// A sleeps. The end: claim A. Signal: take A off, claim nobody. A: give up. B
		// sleeps on.
		Name: "a wait on a Cond is picked only if the Signal has claimed its task", By: "EndInTwoStepsAndASignal", File: "cond.go",
		Old: "picked := e.off || c.queue.leave(e)\n", New: "picked := (e.off || c.queue.leave(e)) && (t == nil || e.off && t.word.Load()&taken != 0)\n",
	}, {
		Name: "the end of a context does not interrupt its task", By: "OneTaskForTwo", File: "taskcontext.go",
		Old: "\t\t\tc.task.Interrupt()\n", New: "\t\t\t_ = c\n",
	}, {
		Name: "the parent has a strong pointer to a copy", By: "DroppedCopiesAreCollected", File: "taskcontext.go", Plain: true,
		Old: "if c := carrier.Value(); c != nil {", New: "if carrier.Value() == c {",
	}, {
		Name: "the parent knows a dropped copy for ever", By: "DroppedCopiesAreCollected", File: "taskcontext.go", Plain: true,
		Old: "func(forget func() bool) { forget() }", New: "func(forget func() bool) {}",
	}, {
		// Cond: the end, and then ClearInterrupt. Waiter: sleep.
		Name: "ClearInterrupt wipes out the end of a context", By: "ClearInterruptKeepsTheEnd", File: "task.go", Plain: true,
		Old: "if c := t.carrier; c != nil && c.Err() != nil {", New: "if c := t.carrier; c != nil && false {",
	}, {
		Name: "a task is lent while it is in a Wait of its own", By: "WaitOfTheTaskItself", File: "taskcontext.go", Plain: true,
		Old: "if c.task.waiting {", New: "if false {",
	}, {
		Name: "a foreign context has a goroutine for each copy", By: "WithTaskOfAForeignContext", File: "taskcontext.go", Plain: true,
		Old: "context.AfterFunc(parent, func() {", New: "context.AfterFunc(c.Context, func() {",
	}, {
		// Waiter: look at Err, which is nil. The context ends. Waiter: look at Done.
		Name: "Done is looked at after Err", By: "EndWhileTheInterruptIsLookedInto", File: "taskcontext.go", Plain: true,
		Old: "\tselect {\n\tcase <-c.Done():\n\t\tover = true\n\tdefault:\n\t}\n\terr := ContextErr(c)\n", New: "\terr := ContextErr(c)\n\tselect {\n\tcase <-c.Done():\n\t\tover = true\n\tdefault:\n\t}\n",
	},
}

func TestMutantsAreCaught(t *testing.T) { models.Mutants(t, mutants) }
