package waitqueue_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// The explorer is worth what it finds. Each mutant is the package with one
// mistake, made by one change of its text; some schedule must be bad then. A
// change that fits no longer fails its test, so mutants do not rot.
var mutants = []struct {
	name, file, old, new string
}{
	{
		// Waiter: test. Waker: set, wake nobody. Waiter: queue, sleep.
		"test before queueing", "waitqueue.go",
		"\t\tdone := cond()\n\t\tat(\"tested\")\n",
		"\t\tq.leave(e)\n\t\tdone := cond()\n\t\tat(\"tested\")\n\t\tif !done {\n\t\t\tq.prepare(e)\n\t\t}\n",
	}, {
		// A and B sleep. Waker: wake. B takes the token.
		"the last exclusive waiter first", "entry.go",
		"q.linkBehind(q.tail, e)", "q.linkBehind(q.lastPriority(), e)",
	}, {
		// Waker: wake; the watcher uses up the one wake-up, the taker sleeps on.
		"ordinary waiters use up the budget", "waitqueue.go",
		"\t\tif exclusive {\n\t\t\tif n--", "\t\t{\n\t\t\tif n--",
	}, {
		// A is ended, and tests while it is still to be found. Waker: put a
		// token, wake A. A returns its error, B sleeps on.
		"a cancel swallows a wake-up", "waitqueue.go",
		"\tq.leave(e)\n\tdone := cond()\n", "\tq.prepare(e)\n\tdone := cond()\n",
	}, {
		// Waiter: test. The condition comes true, then the end. The waiter
		// returns the error.
		"no test after an interruption", "waitqueue.go",
		"\tq.leave(e)\n\tdone := cond()\n", "\tq.leave(e)\n\tdone := false\n",
	}, {
		// Waiter: test, has its place. Waker: set, take it off the queue.
		// Waiter: sleep, and nobody will find it.
		"a wake-up before the sleep is lost", "task.go",
		"\tif !sleeps(b.word.Load()) {\n", "\tif b.word.Load()&interrupted != 0 {\n",
	}, {
		// A sleeps. B takes the first token on its way. Waker: put the second
		// one, wake B, which does not need it.
		"a wake-up that was not needed is kept", "waitqueue.go",
		"q.leave(e) {\n\t\t\t\tq.WakeUp()\n", "q.leave(e) {\n",
	}, {
		// A is interrupted before it sleeps. It takes the first token, while the
		// wake-up for the second one picks it. B sleeps on.
		"a task tests while it can be picked", "waitqueue.go",
		"\t\t\tt.SetState(Running) // or a", "\t\t\t// or a",
	}, {
		// The same with a context that ends.
		"an ended waiter tests while it can be picked", "waitqueue.go",
		"if woken && cond() {", "if woken = cond(); woken {",
	}, {
		// Signal, which picks A. A is ended. A gives up, B sleeps on.
		"a cancel swallows a Signal", "cond.go",
		"picked = c.queue.leave(e)\n", "picked = c.queue.leave(e) && ctx.Err() == nil\n",
	},
}

var badSchedules = regexp.MustCompile(`(?m)^--- FAIL: TestInterleavings\w+|\d+ schedules, [1-9]\d* bad`)

func TestMutantsAreCaught(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("builds the package once for each mutant")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			test := exec.Command("go", "test", "-vet=off", "-short", "-failfast", "-timeout=60s", "-count=1", "-v",
				"-run=^TestInterleavings", "-overlay="+overlay(t, m.file, m.old, m.new), ".")
			out, err := test.CombinedOutput()
			require.Error(t, err, "no schedule is bad")
			found := badSchedules.FindAll(out, -1)
			require.NotEmpty(t, found, "failed, but by no schedule: %s", out)
			t.Logf("%s", bytes.Join(found, []byte("\n")))
		})
	}
}

// overlay returns the name of a file that tells the go command to read file
// with one piece of its text replaced.
func overlay(t *testing.T, file, old, new string) string {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, 1, bytes.Count(text, []byte(old)), "%s has changed: the mutant has to follow", file)

	original, err := filepath.Abs(file)
	require.NoError(t, err)
	mutated := filepath.Join(t.TempDir(), file)
	text = bytes.Replace(text, []byte(old), []byte(new), 1)
	require.NoError(t, os.WriteFile(mutated, text, 0o600))

	list, err := json.Marshal(map[string]any{"Replace": map[string]string{original: mutated}})
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "overlay.json")
	require.NoError(t, os.WriteFile(name, list, 0o600))
	return name
}
