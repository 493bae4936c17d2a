package kthread_test

import (
	"testing"

	"github.com/kprim/kprim/internal/explore"
)

// In each mutant some schedule must be bad.
var mutants = []explore.Mutant{
	{
		// Stop: wake. Thread: no stop is asked, so flush what woke it, sleep.
		// Stop: set the flag. Nobody looks.
		Name: "the flag is set after the wake-up", File: "kthread.go",
		Old: "\tt.stop.Store(true)\n\tat(\"stop flag is set\")\n\tt.mu.Lock()\n\tt.task.Interrupt()\n",
		New: "\tt.mu.Lock()\n\tt.task.Interrupt()\n\tt.mu.Unlock()\n\tat(\"stop flag is set\")\n\tt.stop.Store(true)\n\tt.mu.Lock()\n",
	}, {
		// Stop: set the flag, interrupt. Thread: flush a signal, and sleep.
		Name: "a flush takes back a stop", File: "signal.go",
		Old: "if t.pending == 0 && !t.stop.Load() {", New: "if t.pending == 0 {",
	}, {
		// The function calls Goexit. Start waits for Ready for ever.
		Name: "ready is lost on Goexit", File: "kthread.go",
		Old: "\tif t.awaited {\n", New: "\tif t.awaited && t.readied.Load() {\n",
	}, {
		// Thread: answer. Park: return. The thread does not sleep yet.
		Name: "a park is acknowledged before the state is set", File: "park.go",
		Old: "\t\tt.task.SetState(waitqueue.Parked)\n\t\tp := t.parking.Load()\n\t\tat(\"looked\")\n\t\tif p == nil {\n\t\t\tbreak\n\t\t}\n\t\tp.answer(nil)\n\t\tat(\"answered\")\n",
		New: "\t\tp := t.parking.Load()\n\t\tat(\"looked\")\n\t\tif p == nil {\n\t\t\tbreak\n\t\t}\n\t\tp.answer(nil)\n\t\tat(\"answered\")\n\t\tt.task.SetState(waitqueue.Parked)\n",
	}, {
		// Unpark: wake. Thread: the request is there, so park. Unpark: take it back.
		Name: "woken before the request is taken back", File: "park.go",
		Old: "\tif p := t.parking.Swap(nil); p != nil {\n", New: "\tt.task.WakeUp(waitqueue.Parked)\n\tat(\"park is taken back\")\n\tif p := t.parking.Swap(nil); p != nil {\n\t\tp.answer(errUnparked)\n\t\treturn\n",
	}, {
		// Park: ask. The thread ends, and Park waits for ever.
		Name: "a thread that ends forgets who asked it to park", File: "kthread.go",
		Old: "\t\tp.answer(errParkExited)\n", New: "\t\t_ = p\n",
	}, {
		// Park: ask. Stop: unpark, and the thread does not park. Park waits for ever.
		Name: "an early unpark answers nobody", File: "park.go",
		Old: "\t\tp.answer(errUnparked)\n", New: "",
	}, {
		// Stop: unpark. Park: ask. The thread parks on its way out, and Stop
		// waits for ever.
		Name: "a park after a stop", File: "park.go",
		Old: "\tcase t.stop.Load():", New: "\tcase false:",
	}, {
		// The work runs. Cancel: wait for its end. Work: queue itself.
		Name: "a work that queues itself gets back in", File: "worker.go",
		Old: "k.pending == nil && k.cancels == 0 }", New: "k.pending == nil }",
	},
}

func TestMutantsAreCaught(t *testing.T) { explore.Mutants(t, mutants) }
