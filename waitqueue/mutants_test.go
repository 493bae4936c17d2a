package waitqueue_test

import (
	"testing"

	"github.com/kprim/kprim/internal/explore"
)

// In each mutant some schedule must be bad.
var mutants = []explore.Mutant{
	{
		// Waiter: test. Waker: set, wake nobody. Waiter: queue, sleep.
		Name: "test before queueing", File: "waitqueue.go",
		Old: "\t\tdone := cond()\n\t\tat(\"tested\")\n",
		New: "\t\tq.leave(e)\n\t\tdone := cond()\n\t\tat(\"tested\")\n\t\tif !done {\n\t\t\tq.prepare(e)\n\t\t}\n",
	}, {
		// A and B sleep. Waker: wake. B takes the token.
		Name: "the last exclusive waiter first", File: "entry.go",
		Old: "q.linkBehind(q.tail, e)", New: "q.linkBehind(q.lastPriority(), e)",
	}, {
		// Waker: wake; the watcher uses up the one wake-up, the taker sleeps on.
		Name: "ordinary waiters use up the budget", File: "waitqueue.go",
		Old: "\t\tif exclusive {\n\t\t\tif n--", New: "\t\t{\n\t\t\tif n--",
	}, {
		// A is ended, and tests while it is still to be found. Waker: put a
		// token, wake A. A returns its error, B sleeps on.
		Name: "a cancel swallows a wake-up", File: "waitqueue.go",
		Old: "\tq.leave(e)\n\tdone := cond()\n", New: "\tq.prepare(e)\n\tdone := cond()\n",
	}, {
		// Waiter: test. The condition comes true, then the end. The waiter
		// returns the error.
		Name: "no test after an interruption", File: "waitqueue.go",
		Old: "\tq.leave(e)\n\tdone := cond()\n", New: "\tq.leave(e)\n\tdone := false\n",
	}, {
		// Waiter: test, has its place. Waker: set, take it off the queue.
		// Waiter: sleep, and nobody will find it.
		Name: "a wake-up before the sleep is lost", File: "task.go",
		Old: "\tif !sleeps(b.word.Load()) {\n", New: "\tif b.word.Load()&interrupted != 0 {\n",
	}, {
		// A sleeps. B takes the first token on its way. Waker: put the second
		// one, wake B, which does not need it.
		Name: "a wake-up that was not needed is kept", File: "waitqueue.go",
		Old: "q.leave(e) {\n\t\t\t\tq.WakeUp()\n", New: "q.leave(e) {\n",
	}, {
		// A is interrupted before it sleeps. It takes the first token, while the
		// wake-up for the second one picks it. B sleeps on.
		Name: "a task tests while it can be picked", File: "waitqueue.go",
		Old: "\t\t\tt.SetState(Running) // or a", New: "\t\t\t// or a",
	}, {
		// The same with a context that ends.
		Name: "an ended waiter tests while it can be picked", File: "waitqueue.go",
		Old: "if woken && cond() {", New: "if woken = cond(); woken {",
	}, {
		// Signal, which picks A. A is ended. A gives up, B sleeps on.
		Name: "a cancel swallows a Signal", File: "cond.go",
		Old: "picked := c.queue.leave(e)\n", New: "picked := c.queue.leave(e) && ctx.Err() == nil\n",
	},
}

func TestMutantsAreCaught(t *testing.T) { explore.Mutants(t, mutants) }
