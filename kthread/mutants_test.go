package kthread_test

import (
	"testing"

	"github.com/kprim/kprim/internal/models"
)

// In each mutant some order must be bad.
var mutants = []models.Mutant{
	{
		// Stop: wake. Thread: no stop is asked, so flush the signal, sleep.
		// Stop: set the flag. Nobody looks.
		Name: "the flag is set after the wake-up", By: "StopAndSignal", File: "stop.go",
		Old: "\tt.stop.CompareAndSwap(nil, stopFor(reason))\n\tpoint.At(\"stop flag is set\", t)\n\t// The context ends before the sleep, after which the thread looks at the cause. This takes\n\t// mu between the flag and the interrupt. So a Flush that has not seen the flag has cleared\n\t// its interrupt before.\n\tt.endContext()\n\tt.task.Interrupt()\n",
		New: "\tt.task.Interrupt()\n\tpoint.At(\"stop flag is set\", t)\n\tt.stop.CompareAndSwap(nil, stopFor(reason))\n\tt.endContext()\n",
	}, {
		// Stop: set the flag, interrupt. Thread: flush a signal, and sleep.
		Name: "a flush takes back a stop", By: "StopAndSignal", File: "signal.go",
		Old: "if t.pending == 0 && t.stop.Load() == nil {", New: "if t.pending == 0 {",
	}, {
		// Thread: no stop is asked. Stop: set the flag, interrupt. Thread: clear the
		// interrupt, and sleep. This file has no points, so a look for a park is the point.
		Name: "a flush gives up the lock between its look and its clear", By: "StopAndSignal", File: "signal.go",
		Old: "\tif t.pending == 0 && t.stop.Load() == nil {\n",
		New: "\tstop := t.stop.Load() != nil\n\tt.mu.Unlock()\n\tt.parkMe()\n\tt.mu.Lock()\n\tif t.pending == 0 && !stop {\n",
	}, {
		// The function calls Goexit. Start waits for Ready for ever.
		Name: "ready is lost on Goexit", By: "Start", File: "kthread.go",
		Old: "\tif t.awaited && !t.readied.Load() {\n\t\tt.ready.open()\n\t}\n\tt.finish()", New: "\tt.finish()",
	}, {
		// Thread: open ready. Start: the function was not ready, so wait for its
		// end. Thread: say that it was.
		Name: "ready opens before it is said why", By: "Start", File: "current.go",
		Old: "\t\tt.readied.Store(true)\n\t\tt.ready.open()\n", New: "\t\tt.ready.open()\n\t\tpoint.At(\"looked\", t)\n\t\tt.readied.Store(true)\n",
	}, {
		// Thread: answer. Park: return. The thread does not sleep yet.
		Name: "a park is acknowledged before the state is set", By: "ParkIsAcknowledgedByAParkedThread", File: "park.go",
		Old: "\t\tt.task.SetState(waitqueue.Parked)\n\t\tp := t.parking.Load()\n\t\tpoint.At(\"looked\", t)\n\t\tif p == nil {\n\t\t\tbreak\n\t\t}\n\t\tp.answer(nil)\n\t\tpoint.At(\"answered\", t)\n",
		New: "\t\tp := t.parking.Load()\n\t\tpoint.At(\"looked\", t)\n\t\tif p == nil {\n\t\t\tbreak\n\t\t}\n\t\tp.answer(nil)\n\t\tpoint.At(\"answered\", t)\n\t\tt.task.SetState(waitqueue.Parked)\n",
	}, {
		// Unpark: wake. Thread: the request is there, so park. Unpark: take it back.
		Name: "woken before the request is taken back", By: "StopAndPark", File: "park.go",
		Old: "\tif p := t.parking.Swap(nil); p != nil {\n", New: "\tt.task.WakeUp(waitqueue.Parked)\n\tpoint.At(\"park is taken back\", t)\n\tif p := t.parking.Swap(nil); p != nil {\n\t\tp.answer(errUnparked)\n\t\treturn\n",
	}, {
		// Park: ask. The thread ends, and Park waits for ever.
		Name: "a thread that ends forgets the request to park", By: "StopAndPark", File: "kthread.go",
		Old: "\t\tp.answer(errParkExited)\n", New: "\t\t_ = p\n",
	}, {
		// Park: ask. Stop: unpark, and the thread does not park. Park waits for ever.
		Name: "an early unpark gives no answer", By: "StopAndPark", File: "park.go",
		Old: "\t\tp.answer(errUnparked)\n", New: "",
	}, {
		// Stop: unpark. Park: ask. The thread parks on its way out, and Stop
		// waits for ever.
		Name: "a park after a stop", By: "StopAndParkFirst", File: "park.go",
		Old: "\tcase t.stop.Load() != nil:", New: "\tcase false:",
	}, {
		// Thread: answer the request to park; there is none. Park: ask. The
		// thread exits, and Park waits for ever.
		Name: "a thread answers before it refuses", By: "ParkAndExit", File: "kthread.go",
		Old: "\tt.mu.Lock()\n\tt.exited = true\n\tcancel, ties := t.cancel, t.ties\n\tt.ties = nil\n\tt.mu.Unlock()\n\tpoint.At(\"exited\", t)\n\tif p := t.parking.Swap(nil); p != nil {\n\t\tp.answer(errParkExited)\n\t}\n",
		New: "\tif p := t.parking.Swap(nil); p != nil {\n\t\tp.answer(errParkExited)\n\t}\n\tpoint.At(\"exited\", t)\n\tt.mu.Lock()\n\tt.exited = true\n\tcancel, ties := t.cancel, t.ties\n\tt.ties = nil\n\tt.mu.Unlock()\n",
	}, {
		// The thread exits. Park: ask, and wait for ever.
		Name: "a thread that is gone is asked to park", By: "ParkAndExit", File: "park.go",
		Old: "\tcase t.exited:\n", New: "\tcase false:\n",
	}, {
		// Stop: set the flag, find no context. Thread: make the context, which
		// never ends.
		Name: "a context that is made after the stop", By: "StopAndContext", File: "stop.go",
		Old: "if t.exited || t.stop.Load() != nil {", New: "if t.exited {",
	}, {
		// Stop: set the flag. Thread: see it and exit, with no cause. Stop: it is
		// too late to give the cause.
		Name: "a thread that was stopped ends its context without a cause", By: "StopAndContext", File: "kthread.go",
		Old: "\t\tcancel(t.cause())", New: "\t\tcancel(nil)",
	}, {
		// Thread: open gone. Stop: return. Done is not closed yet.
		Name: "Stop returns before Done is closed", By: "DoneAndStopAgree", File: "kthread.go",
		Old: "\tt.mu.Lock()\n\tt.over = true\n\tif t.done != nil {\n\t\tclose(t.done)\n\t}\n\tt.mu.Unlock()\n\tpoint.At(\"done is closed\", t)\n\tt.gone.open()\n",
		New: "\tt.gone.open()\n\tpoint.At(\"done is closed\", t)\n\tt.mu.Lock()\n\tt.over = true\n\tif t.done != nil {\n\t\tclose(t.done)\n\t}\n\tt.mu.Unlock()\n",
	}, {
		// Thread: close Done. Waiter: see that, wait with an ended context, and
		// hear that the thread lives.
		Name: "an ended context beats the end that Done has shown", By: "DoneAndStopAgree", File: "kthread.go",
		Old: "if err != nil && t.isOver() {", New: "if false {",
	}, {
		// The thread ends. Waiter: ask for Done, which nothing closes.
		Name: "Done is made after the end", By: "DoneAndStopAgree", File: "kthread.go",
		Old: "\t\tif t.over {\n", New: "\t\tif false {\n",
	}, {
		// Two wait for the end. One takes the token.
		Name: "a gate opens for one", By: "StopTwice", File: "gate.go",
		Old: "const tokens = math.MaxInt64", New: "const tokens = min(1, math.MaxInt64)",
	}, {
		// Thread: no park is asked. Park: ask, wake the thread. Thread: sleep.
		Name: "a sleep looks for a park before it is announced", By: "SleepAndPark", File: "current.go",
		Old: "\t\ttask.SetState(waitqueue.Interruptible)\n\t\tif cur.ShouldPark() && !cur.Interrupted() {\n\t\t\ttask.SetState(waitqueue.Running)\n\t\t\treturn errParkAsked\n\t\t}\n\t\tpoint.At(\"looked for a park\", cur.t)\n",
		New: "\t\tif cur.ShouldPark() && !cur.Interrupted() {\n\t\t\treturn errParkAsked\n\t\t}\n\t\tpoint.At(\"looked for a park\", cur.t)\n\t\ttask.SetState(waitqueue.Interruptible)\n",
	}, {
		// The work runs. Cancel: wait for its end. Park: ask. The worker parks
		// with the barrier at the front.
		Name: "a worker parks and does not tell the end of its run", By: "WaitForARunAndPark", File: "pool.go",
		Old: "\tif m.waiters != nil {\n", New: "\tif m.waiters != nil && m.thread.parking.Load() == nil {\n",
	}, {
		// Flush: wait for a work that a parked worker holds back. Cancel: take it
		// off. No turn comes, and Flush waits for ever.
		Name: "a cancel forgets the flushes of its work", By: "FlushAndCancelInAParkedWorker", File: "pool.go",
		Old: "\tp.strand(k, turn)\n", New: "\t_, k.waiters = turn, nil\n",
	}, {
		// Thread: take the token. Stop: set the flag. Thread: fail, with the token.
		Name: "a stop beats a condition that was true", By: "WaitExclusiveLockedAndStop", File: "current.go",
		Old: "\tcase err == nil:\n", New: "\tcase err == nil && !cur.ShouldStop():\n",
	}, {
		// Thread: sleep. Stop. Thread: say that time is over.
		Name: "a stop counts as the end of the time", By: "WaitLockedTimeoutAndStop", File: "current.go",
		Old: "case errors.Is(err, syscall.ETIMEDOUT):", New: "case errors.Is(err, syscall.EINTR), errors.Is(err, syscall.ETIMEDOUT):",
	}, {
		// The work runs. Cancel: wait for its end. Work: queue itself.
		Name: "a work that queues itself gets back in", By: "CancelOfAWorkThatQueuesItself", File: "pool.go",
		Old: "k.number == 0 && k.cancels == 0 }", New: "k.number == 0 }",
	}, {
		// First: set its reason. Thread: its sleep ends, with the first reason. Second:
		// set its reason. Thread: end, with the second one.
		Name: "a later reason takes the place of the first", By: "TwoReasons", File: "stop.go",
		Old: "\tt.stop.CompareAndSwap(nil, stopFor(reason))\n", New: "\tt.stop.Store(stopFor(reason))\n",
	}, {
		// First: set its reason. Second: end the context, with its own reason.
		Name: "a context ends with a later reason", By: "TwoReasons", File: "stop.go",
		Old: "\tt.endContext()\n\tt.task.Interrupt()\n", New: "\tt.mu.Lock()\n\tcancel := t.cancel\n\tt.mu.Unlock()\n\tif cancel != nil {\n\t\tcancel(stopFor(reason))\n\t}\n\tt.task.Interrupt()\n",
	}, {
		// Stopper: end the sleep. Thread: look at the context, which goes on. Stopper: end it.
		Name: "a stop ends the context last", By: "ContextEndsFirst", File: "stop.go",
		Old: "\tt.endContext()\n\tt.task.Interrupt()\n",
		New: "\tt.task.Interrupt()\n\tt.endContext()\n",
	}, {
		// Stopper: set the flag. Thread: a signal ends its sleep; look at the context.
		Name: "a thread that learns of a stop leaves its context to the stopper", By: "ContextEndsFirst", File: "current.go",
		Old: "\t\tcur.t.endContext()\n", New: "",
	}, {
		// Stopper: set the flag. Thread: see it, and ask for the context, which goes on.
		Name: "only a new context is ended", By: "ContextEndsFirst", File: "stop.go",
		Old: "\t}\n\tif t.exited || t.stop.Load() != nil {", New: "\t} else if false {",
	}, {
		// Tier: register at the context. Destroy. Tier: leave it there.
		Name: "a workqueue is tied when it is gone", By: "StopWithOfAWorkqueue", File: "workqueue.go",
		Old: "\tif gone {", New: "\tif false {",
	}, {
		// Tier: register at the context. Destroy: leave it there.
		Name: "a workqueue that ends stays tied", By: "StopWithOfAWorkqueue", File: "workqueue.go",
		Old: "\t\tuntie()\n\t}\n\tq.ties", New: "\t\t_ = untie\n\t}\n\tq.ties",
	}, {
		// AskStop: drop the work. Destroy: there is nothing to wait for.
		Name: "a destroy does not tell that works were dropped before", By: "AskStopAndEnqueue", File: "pool.go",
		Old: "\tp.losses = true\n", New: "",
	}, {
		// First: ask. Thread: end, and return nil.
		Name: "a result is without the reason", By: "TwoReasons", File: "kthread.go",
		Old: "\tt.err = t.withReason(t.run())\n", New: "\tt.err = t.run()\n",
	}, {
		// Thread: end. Watcher: make the channel, which nothing closes.
		Name: "Stopping is made after the end", By: "Stopping", File: "stop.go",
		Old: "if t.exited || t.stop.Load() != nil {", New: "if t.stop.Load() != nil {",
	}, {
		// Thread: close Done. Waiter: see that, and find Stopping open.
		Name: "Done is closed before Stopping", By: "Stopping", File: "kthread.go",
		Old: "\tif cancel != nil {\n\t\tcancel(t.cause())", New: "\tif cancel != nil {\n\t\tdefer cancel(t.cause())",
	}, {
		// Tier: register at the context. Thread: end. Tier: leave it there.
		Name: "a thread is tied when it is gone", By: "StopWith", File: "stop.go",
		Old: "\tif exited {", New: "\tif false {",
	}, {
		// Tier: the thread lives. Thread: end. Tier: register at the context.
		Name: "a thread is tied after the look whether it is gone", By: "StopWith", File: "stop.go",
		Old: "\tuntie := context.AfterFunc(ctx, func() { t.AskStop(context.Cause(ctx)) })\n\tpoint.At(\"tied\", t)\n\tt.mu.Lock()\n\texited := t.exited\n",
		New: "\tt.mu.Lock()\n\texited := t.exited\n\tt.mu.Unlock()\n\tpoint.At(\"tied\", t)\n\tuntie := context.AfterFunc(ctx, func() { t.AskStop(context.Cause(ctx)) })\n\tt.mu.Lock()\n",
	}, {
		// Tier: register at the context. Thread: end, and leave it there.
		Name: "a thread that ends stays tied", By: "StopWith", File: "kthread.go",
		Old: "\t\tuntie()\n", New: "\t\t_ = untie\n",
	}, {
		// Thread: there is no work. Enqueue: the thread does not sleep yet, so wake
		// nothing. Thread: announce the sleep, and sleep.
		Name: "a sleep is announced without the lock", By: "EnqueueAndRun", File: "pool.go",
		Old: "\tp.unlock()\n\treturn k, over\n", New: "\tp.unlock()\n\tif m.asleep {\n\t\tpoint.At(\"pool is changed\", m.thread)\n\t\tm.thread.task.SetState(p.sleep)\n\t}\n\treturn k, over\n",
	}, {
		// Enqueue: wake the thread. The thread runs the work and sleeps. The second
		// Enqueue thinks that the thread is still on its way.
		Name: "a thread that has come counts as on its way", By: "EnqueueAndRun", File: "pool.go",
		Old: "\tif p.woken == m {\n", New: "\tif false {\n",
	}, {
		// Thread 1: run the work. Enqueue. Thread 2: run the work.
		Name: "a work runs twice at once", By: "WorkRunsOnceAtATime", File: "pool.go",
		Old: "\t\tif k.by == nil {\n\t\t\treturn k\n",
		New: "\t\tif true {\n\t\t\treturn k\n",
	}, {
		// The thread runs a work. Enqueue: start a second thread.
		Name: "there are more threads than maxActive", By: "OrderedWorks", File: "pool.go",
		Old: "p.grow == nil || len(p.members) == p.max",
		New: "p.grow == nil",
	}, {
		// Enqueue twice: wake one thread. The thread: run the first work, which waits for the
		// second one.
		Name: "a thread that has taken a work wakes no other", By: "WorksInParallel", File: "pool.go",
		Old: "\tp.unlock()\n\treturn k, over\n",
		New: "\tif p.mu.Unlock(); k == nil {\n\t\tp.mu.Lock()\n\t\tp.unlock()\n\t}\n\treturn k, over\n",
	}, {
		// Enqueue: wake the thread. Timer: send it away. The work waits for a thread that is on
		// its way.
		Name: "a thread that is sent away counts as on its way", By: "IdleExitAndEnqueue", File: "culling.go",
		Old: "\t\tif p.woken == m {\n",
		New: "\t\tif false {\n",
	}, {
		// Timer: send the thread away. Enqueue: wake it. Thread: leave.
		Name: "a thread that is sent away stays among the idle ones", By: "IdleExitAndEnqueue", File: "culling.go",
		Old: "\tp.idle = slices.Delete(p.idle, 0, n)\n",
		New: "\t_ = slices.Delete(slices.Clone(p.idle), 0, n)\n",
	}, {
		// The work runs. Flush: there is nothing to wait for.
		Name: "a flush of all forgets the works that run", By: "FlushOfAWorkqueue", File: "pool.go",
		Old: "\t\tif m.work != nil {\n\t\t\toldest",
		New: "\t\tif false {\n\t\t\toldest",
	}, {
		// The work runs, is queued again and set aside. Flush: wait for the present run.
		Name: "a flush of all forgets a work that is set aside", By: "FlushOfAWorkqueue", File: "pool.go",
		Old: "\t\tif m.again != nil {\n\t\t\toldest",
		New: "\t\tif false {\n\t\t\toldest",
	}, {
		// Flush: wait. Thread: begin the work. Flush: return.
		Name: "a flush returns when its work begins", By: "FlushOfAWork", File: "pool.go",
		Old: "\t\tk.waiters, m.waiters = nil, k.waiters\n",
		New: "\t\tk.waiters.answer(nil)\n\t\tk.waiters = nil\n",
	}, {
		// The work runs, is queued again and set aside. Cancel: take it off the list.
		Name: "a cancel leaves a work that is set aside", By: "CancelInAWorkqueue", File: "pool.go",
		Old: "\tif k.by != nil && k.by.again == k {\n\t\tk.by.again = nil\n\t} else {",
		New: "\tif k.by == nil || k.by.again != k {",
	}, {
		// Drain: wait. Enqueue: the work is taken.
		Name: "a drain lets others in", By: "DrainAndEnqueue", File: "pool.go",
		Old: "\tif p.draining == 0 && !p.closing {\n",
		New: "\tif !p.closing {\n",
	}, {
		// Drain: wait. The work: queue the next one, which is refused.
		Name: "a drain keeps its own works out", By: "DrainAndEnqueue", File: "pool.go",
		Old: "\treturn chained || ",
		New: "\treturn chained && ",
	}, {
		// The work runs, and none is pending. Drain: return.
		Name: "a drain does not wait for a run", By: "DrainAndEnqueue", File: "barrier.go",
		Old: "\tif p.oldest() == none {\n\t\treturn false",
		New: "\tif p.works.first == nil {\n\t\treturn false",
	}, {
		// The thread sleeps. AskStop. Destroy: wait for the thread.
		Name: "an AskStop leaves the idle threads asleep", By: "AskStopAndEnqueue", File: "workqueue.go",
		Old: "\tp.dismiss(len(p.idle))\n",
		New: "\tp.dismiss(0)\n",
	}, {
		// AskStop. Enqueue: the work is taken.
		Name: "a work gets in after an AskStop", By: "AskStopAndEnqueue", File: "pool.go",
		Old: "\tp.gone = true\n",
		New: "",
	}, {
		// Enqueue. AskStop: the threads leave. The work stays pending.
		Name: "an AskStop drops nothing", By: "AskStopAndEnqueue", File: "pool.go",
		Old: "\t\tp.unlink(k)\n\t\tk.waiters.answer(p.lost)\n",
		New: "\t\tp.works.remove(k)\n\t\tk.waiters.answer(p.lost)\n",
	}, {
		// There is no work. Destroy: wait for threads, which nothing sends away.
		Name: "a destroy waits for a last work that does not come", By: "DestroyAndEnqueue", File: "workqueue.go",
		Old: "\t\tp.closing = true\n\t\tp.settle()\n",
		New: "\t\tp.closing = true\n",
	}, {
		// Destroy: wait for the work. The last work ends. The threads stay.
		Name: "the last work does not end the workqueue", By: "DestroyAndEnqueue", File: "barrier.go",
		Old: "\t\tp.close()\n",
		New: "",
	}, {
		// The work is set aside, and calls Goexit.
		Name: "a work that is set aside is lost on Goexit", By: "GoexitInAWorkqueue", File: "pool.go",
		Old: "\t\tm.again = nil\n\t\tp.works.insert(k)\n\t}\n\tif m.work",
		New: "\t\tm.again = nil\n\t}\n\tif m.work",
	}, {
		// The work calls Goexit. It counts as running for ever.
		Name: "a Goexit does not end the run", By: "GoexitInAWorkqueue", File: "pool.go",
		Old: "\tif m.work != nil {\n\t\tp.finish(m)\n\t}\n\tp.members",
		New: "\tp.members",
	}, {
		// Cancel: take the last work off, which ends the workqueue. The threads leave.
		// Destroy: return. Cancel: end the context.
		Name: "Destroy returns before the context has ended", By: "DestroyAndCancel", File: "workqueue.go",
		Old: "\t<-q.ctx.Done()\n", New: "",
	},
}

func TestMutantsAreCaught(t *testing.T) { models.Mutants(t, mutants) }
