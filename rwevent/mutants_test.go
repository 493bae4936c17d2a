package rwevent_test

import (
	"testing"

	"github.com/kprim/kprim/internal/models"
)

// In each mutant some order must be bad.
var mutants = []models.Mutant{
	{
		// Post: wake. Taker: nothing is there, so sleep on. Post: tell of the event.
		Name: "a post wakes before its event is to be seen", By: "PostsAndTakers", File: "rwevent.go",
		Old: "\ts.news.Store(s.gen)\n\ts.mu.Unlock()\n\tpoint.At(\"posted\", nil)\n\t// After the change. With the other order a waiter could wake, find the old\n\t// event, and sleep on.\n\ts.queue.WakeUp()\n\treturn nil\n",
		New: "\ts.mu.Unlock()\n\ts.queue.WakeUp()\n\tpoint.At(\"posted\", nil)\n\ts.news.Store(s.gen)\n\treturn nil\n",
	}, {
		// Close. Taker A: take the last event. Taker B: nothing is there, so sleep.
		Name: "the last taker of a closed slot hides the close", By: "CloseAndTakers", File: "rwevent.go",
		Old: "\tif !s.closed { // or the next taker would sleep for ever\n\t\ts.news.Store(0)\n\t}\n", New: "\ts.news.Store(0)\n",
	}, {
		// Takers A and B sleep. Close: wake A.
		Name: "a close wakes one taker", By: "CloseAndTakers", File: "rwevent.go",
		Old: "\ts.queue.WakeUpAll() // all", New: "\ts.queue.WakeUp() // all",
	}, {
		// Close: wake all. Taker: it is not closed, so sleep on. Close: tell of it.
		Name: "a close wakes before it is to be seen", By: "CloseAndTakers", File: "rwevent.go",
		Old: "\ts.news.Store(final)\n\ts.mu.Unlock()\n\tpoint.At(\"closed\", nil)\n\ts.queue.WakeUpAll()",
		New: "\ts.mu.Unlock()\n\ts.queue.WakeUpAll()\n\tpoint.At(\"closed\", nil)\n\ts.news.Store(final)",
	}, {
		// Close. Taker A: take the last event. Taker B: take it too.
		Name: "a closed slot gives its last event twice", By: "CloseAndTakers", File: "rwevent.go",
		Old: "\tif !s.there {\n\t\treturn v, 0, none(s.closed)\n\t}\n", New: "",
	}, {
		// Close. Watcher: the last event is there, for ever.
		Name: "a closed slot shows its last event again", By: "PostsAndWatcher", File: "rwevent.go",
		Old: "\tif s.there && s.gen > after {", New: "\tif s.there {",
	}, {
		// Post: wake. Taker: nothing is there, so sleep on. Post: put the event.
		Name: "a post to a table wakes before its event is there", By: "PostsAndTakers", File: "table.go",
		Old: "\tif err := t.put(k, v); err != nil {\n\t\treturn err\n\t}\n\tpoint.At(\"posted\", nil)\n\tt.queue.WakeUp()\n",
		New: "\tt.queue.WakeUp()\n\tpoint.At(\"posted\", nil)\n\tif err := t.put(k, v); err != nil {\n\t\treturn err\n\t}\n",
	}, {
		// Takers A and B sleep. Close: wake A.
		Name: "a close of a table wakes one taker", By: "CloseAndTakers", File: "table.go",
		Old: "\tt.queue.WakeUpAll()\n", New: "\tt.queue.WakeUp()\n",
	}, {
		// Close: wake all. Taker: it is not closed, so sleep on. Close: say so.
		Name: "a close of a table wakes before it is there", By: "CloseAndTakers", File: "table.go",
		Old: "\tt.mu.Lock()\n\tt.closed = true\n\tt.mu.Unlock()\n\tpoint.At(\"closed\", nil)\n\tt.queue.WakeUpAll()\n",
		New: "\tt.queue.WakeUpAll()\n\tpoint.At(\"closed\", nil)\n\tt.mu.Lock()\n\tt.closed = true\n\tt.mu.Unlock()\n",
	}, {
		// Post. Loop A: take the event. Cancel. Loop A: end without it.
		Name: "a loop that ends keeps the event to itself", By: "EndOfALoop", File: "wait.go",
		Old: "\t\tif !yield(event, gen) {\n", New: "\t\tif err := over(s.WaitQueue(), ctx, by); err != nil {\n\t\t\treturn err\n\t\t}\n\t\tif !yield(event, gen) {\n",
	}, {
		// Post. Loop A: take the event, and break. Post. Loop A: take the other event, and drop it.
		Name: "a loop that its body ends takes one more", By: "BreakAndInterruption", File: "wait.go",
		Old: "\t\tif !yield(event, gen) {\n", New: "\t\tif !yield(event, gen) {\n\t\t\t_, _, _ = s.take()\n",
	}, {
		// Post 0 and 1. Taker of 1: take it. Taker A: take 0. Taker B: it is the turn of 1.
		Name: "the event of a key leaves its turn behind", By: "TakeOfAKey", File: "events.go",
		Old: "\te.nodes[n.prev].next, e.nodes[n.next].prev = n.next, n.prev\n", New: "",
	},
}

func TestMutantsAreCaught(t *testing.T) { models.Mutants(t, mutants) }
