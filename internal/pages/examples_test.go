package pages_test

import (
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// firsts are the things that a user of a package does first, by the names of their Examples.
// "" is the Example of the package itself. Two packages have none: a test of mutation breaks
// code, and a mount of procfs needs FUSE. The READMEs of explore and procfs show these.
var firsts = map[string][]string{
	"waitqueue":             {"Queue_Wait", "Queue_WaitExclusive", "Cond_Wait", "Cond_WaitFor", "Completion", "WithTask", "WaitAny"},
	"waitqueue/explore":     {"", "boundedBuffer", "Search_Play", "Search_Replay", "Search_preemptions"},
	"kthread":               {"Run", "Start", "Thread_Stop", "Thread_Signal", "Thread_Park", "Workqueue", "Worker", "Tasks"},
	"kthread/trace":         {"", "FlightRecorder", "StartCounting"},
	"kthread/trace/picture": {""},
	"kthread/printk":        {"", "Log", "Reader", "Loglevel", "Printk"},
	"kthread/kthreadhttp":   {"Handler"},
	"kthread/kthreadexpvar": {"Func"},
	"rwevent":               {"Slot", "Slot_Wait", "Slot_Changes", "Slot_TakesBy", "Table"},
	"usermodehelper":        {"Call", "Helper", "Output", "Result", "Gate", "Helper_timeout"},
	"sysctl":                {"NewVar", "Var", "Tree", "Tree_Changes", "Settings", "Tree_Save", "Func", "Vec", "Handler"},
	"sysctl/sysctlhttp":     {"Handler"},
	"sysctl/sysctlexpvar":   {"Func"},
	"sysctl/vfs":            {""},
}

// The thing that a user does first has an Example, which runs.
func TestFirstThingsHaveExamples(t *testing.T) {
	for _, dir := range packages(t) {
		name := strings.TrimPrefix(filepath.ToSlash(dir), "../../")
		switch name {
		case "waitqueue/explore/mutation", "sysctl/procfs":
			continue
		}
		require.NotEmpty(t, firsts[name], "%s: no Example is asked for", name)
		examples := examplesOf(t, dir)
		for _, first := range firsts[name] {
			require.True(t, slices.Contains(examples, first), "%s: no Example for %q", name, first)
		}
	}
}

// examplesOf returns the names of the Examples of a package that have an output, and so run.
func examplesOf(t *testing.T, dir string) (found []string) {
	t.Helper()
	names, err := filepath.Glob(dir + "/*_test.go")
	require.NoError(t, err)
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		require.NoError(t, err)
		for _, example := range doc.Examples(file) {
			if example.Output != "" {
				found = append(found, strings.TrimPrefix(example.Name, "_"))
			}
		}
	}
	return found
}
