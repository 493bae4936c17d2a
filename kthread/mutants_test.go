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
		Old: "\tt.stop.CompareAndSwap(nil, stopFor(reason))\n\tpoint.At(\"stop flag is set\", t)\n\tt.mu.Lock()\n\tt.task.Interrupt()\n",
		New: "\tt.mu.Lock()\n\tt.task.Interrupt()\n\tt.mu.Unlock()\n\tpoint.At(\"stop flag is set\", t)\n\tt.stop.CompareAndSwap(nil, stopFor(reason))\n\tt.mu.Lock()\n",
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
		Name: "a worker parks with a barrier at the front", By: "WaitForARunAndPark", File: "worker.go",
		Old: "\tw.current = nil\n\tw.settle()\n}\n\n// settle", New: "\tw.current = nil\n\tif !w.Current().ShouldPark() {\n\t\tw.settle()\n\t}\n}\n\n// settle",
	}, {
		// Flush: wait for a work that a parked worker holds back. Cancel: take it
		// off. The barrier stays.
		Name: "a cancel leaves a barrier at the front", By: "FlushAndCancelInAParkedWorker", File: "worker.go",
		Old: "\tw.remove(k)\n\tw.settle()\n", New: "\tw.remove(k)\n",
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
		Name: "a work that queues itself gets back in", By: "CancelOfAWorkThatQueuesItself", File: "worker.go",
		Old: "k.pending == nil && k.cancels == 0 }", New: "k.pending == nil }",
	}, {
		// First: set its reason. Thread: its sleep ends, with the first reason. Second:
		// set its reason. Thread: end, with the second one.
		Name: "a later reason takes the place of the first", By: "TwoReasons", File: "stop.go",
		Old: "\tt.stop.CompareAndSwap(nil, stopFor(reason))\n", New: "\tt.stop.Store(stopFor(reason))\n",
	}, {
		// First: set its reason. Second: end the context, with its own reason.
		Name: "a context ends with a later reason", By: "TwoReasons", File: "stop.go",
		Old: "\t\tcancel(t.cause()) // not", New: "\t\tcancel(stopFor(reason)) // not",
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
	},
}

func TestMutantsAreCaught(t *testing.T) { models.Mutants(t, mutants) }
