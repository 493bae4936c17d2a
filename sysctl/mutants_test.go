package sysctl_test

import (
	"testing"

	"github.com/kprim/kprim/internal/models"
)

// In each mutant some order must be bad.
var mutants = []models.Mutant{
	{
		// Writer A: take the number 1. Writer B: take and store the number 2. Loop: read B,
		// all up to 2 is seen. Writer A: store the 1.
		Name: "a change stores its number late", By: "ChangesOfADirectory", File: "poll.go",
		Old: "\tf.events.Store(t.event)\n\tt.eventMu.Unlock()\n\tpoint.At(\"changed\", nil)\n",
		New: "\tn := t.event\n\tt.eventMu.Unlock()\n\tpoint.At(\"changed\", nil)\n\tf.events.Store(n)\n",
	}, {
		// Loop: find the change of A. Writer B: change. Loop: all is seen.
		Name: "a loop has seen the changes of its own reading", By: "ChangesOfADirectory", File: "poll.go",
		Old: "\t\t\t\tif !f.yieldText(ctx, yield) {\n\t\t\t\t\treturn\n\t\t\t\t}\n\t\t\t}\n\t\t\tseen = now\n",
		New: "\t\t\t\tif !f.yieldText(ctx, yield) {\n\t\t\t\t\treturn\n\t\t\t\t}\n\t\t\t}\n\t\t\tseen = d.tree.lastEvent()\n",
	}, {
		// Unregister: wake. Loop: the directory is there, so sleep on. Unregister: remove.
		Name: "an unregister wakes before it has removed", By: "DirectoryThatGoesAway", File: "tree.go",
		Old: "\th.remove()\n\tpoint.At(\"removed\", nil)\n", New: "\tdefer h.remove()\n\tpoint.At(\"removed\", nil)\n",
	}, {
		// Writer: wake. Loop: nothing has changed, so sleep on. Writer: store the number.
		Name: "a change wakes before it has its number", By: "ChangesOfAnEntry", File: "poll.go",
		Old: "\tt.eventMu.Lock()\n\tt.event++\n\tf.events.Store(t.event)\n\tt.eventMu.Unlock()\n\tpoint.At(\"changed\", nil)\n\tf.poll.WakeUpAll()\n",
		New: "\tf.poll.WakeUpAll()\n\tpoint.At(\"changed\", nil)\n\tt.eventMu.Lock()\n\tt.event++\n\tf.events.Store(t.event)\n\tt.eventMu.Unlock()\n",
	}, {
		// Loop: sleep. Unregister: wake the loops over entries.
		Name: "an unregister wakes no loop over the directory", By: "DirectoryThatGoesAway", File: "tree.go",
		Old: "\th.tree.poll.WakeUpAll()\n", New: "",
	}, {
		// Loop: sleep. Writer: wake the loops over the entry.
		Name: "a change wakes no loop over the directory", By: "ChangesOfADirectory", File: "poll.go",
		Old: "\tt.poll.WakeUpAll()\n", New: "",
	}, {
		// Apply: store 1 in a. Writer: store 7. Apply: the last setting is refused, so put the old value back.
		Name: "an undo takes the value of another writer back", By: "ApplyAndAWriter", File: "cell.go",
		Old: "\tif !c.p.CompareAndSwap(after, before) {\n\t\treturn\n\t}\n", New: "\tc.p.Store(before)\n",
	}, {
		// Apply: store 1 and then 2 in a. Closer: close. Apply: put back the value before 1, and then the value before 2.
		Name: "an Apply puts back from the first to the last", By: "ApplyAndAWriter", File: "conf_apply.go",
		Old: "\t\tdefer func() {\n\t\t\tif err := u.run()", New: "\t\tfunc() {\n\t\t\tif err := u.run()",
	}, {
		// Apply: check. Closer: close. Apply: store all but the last.
		Name: "an Apply trusts its check", By: "ApplyAndAWriter", File: "conf_apply.go",
		Old: "\t\tif !done {\n", New: "\t\tif !done && len(errs) == 0 {\n",
	},
}

func TestMutantsAreCaught(t *testing.T) { models.Mutants(t, mutants) }
