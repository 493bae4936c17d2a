package mutation_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/waitqueue/explore/mutation"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("runtime.handleEvent")) // of the runtime itself, on js
}

const (
	file   = "counter.go"
	add    = "\tc.n.Add(1)\n"
	torn   = "\tn := c.n.Load()\n\tat(\"torn\")\n\tc.n.Store(n + 1)\n"
	twice  = "\tc.n.Add(2)\n"
	spins  = "\tfor {\n\t}\n"
	syntax = "\tc.n.Add(\n"
)

// noticed are changes that a test notices.
var noticed = []mutation.Change{
	{Name: "torn", Test: "TestOrders", File: file, Old: add, New: torn},
	{Name: "subtest", Test: "TestOrders/two", File: file, Old: add, New: torn},
	{Name: "bound", Test: "TestOrders/three", File: file, Old: add, New: torn, Args: []string{"-explore.preemptions=1"}},
	{Name: "plain", Test: "TestPlain", File: file, Old: add, New: twice, Plain: true},
	{Name: "panic", Test: "TestPlain", File: file, Old: add, New: "panic(1)\n", Plain: true},
}

// unnoticed are changes that no test notices, each with the message about it.
var unnoticed = map[string]mutation.Change{
	"TestPlain passes":  {Name: "passes", Test: "TestPlain", File: file, Old: add, New: torn, Plain: true},
	"TestOrders passes": {Name: "same", Test: "TestOrders", File: file, Old: add, New: add},
	"counter.go has the old text 0 times, and not once: the change has to follow": {Name: "old", Test: "TestOrders", File: file, Old: "gone", New: torn},
	"counter.go has the old text 2 times":                                         {Name: "old twice", Test: "TestOrders", File: file, Old: "adds one", New: torn},
	"nowhere.go":                                                                  {Name: "file", Test: "TestOrders", File: "nowhere.go", Old: add, New: torn},
	"there is no test TestNone":                                                   {Name: "none", Test: "TestNone", File: file, Old: add, New: torn},
	"there is no test TestOrders/four":                                            {Name: "no subtest", Test: "TestOrders/four", File: file, Old: add, New: add},
	"TestOrders/two shows no bad order":                                           {Name: "syntax", Test: "TestOrders/two", File: file, Old: add, New: syntax},
	"TestPlain shows no bad order":                                                {Name: "plain syntax", Test: "TestPlain", File: file, Old: add, New: syntax, Plain: true},
	"TestOrders/three shows no bad order":                                         {Name: "spins", Test: "TestOrders/three", File: file, Old: add, New: spins, Args: []string{"-timeout=1s"}},
	"test timed out after 1s":                                                     {Name: "plain spins", Test: "TestPlain", File: file, Old: add, New: spins, Plain: true, Args: []string{"-timeout=1s"}},
}

func requireGo(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a test for each change")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	require.NoError(t, os.Chdir("testdata/counter"))
	t.Cleanup(func() { require.NoError(t, os.Chdir("../..")) })
}

func TestNoticed(t *testing.T) {
	requireGo(t)
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	mutation.Test(t, noticed...)
	t.Cleanup(func() {
		after, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, string(before), string(after))
	})
}

const toFail = "KPRIM_MUTATION_FAILS"

func TestUnnoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a test for each change")
	}
	self, err := os.Executable()
	if err != nil {
		t.Skip("no processes here: ", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "-test.run=^TestUnnoticedToFail$", "-test.v")
	cmd.Env = append(os.Environ(), toFail+"=1")
	out, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); !errors.As(err, &exit) {
		t.Skip(err)
	}
	for said, c := range unnoticed {
		require.Contains(t, string(out), said, c.Name)
	}
	require.NotContains(t, string(out), "--- PASS")
}

func TestUnnoticedToFail(t *testing.T) {
	if os.Getenv(toFail) == "" {
		t.Skip("TestUnnoticed runs it")
	}
	requireGo(t)
	for _, c := range unnoticed {
		mutation.Test(t, c)
	}
}
