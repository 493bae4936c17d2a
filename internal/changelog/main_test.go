package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("runtime.handleEvent"))
}

const log = `# Changes

## Unreleased

### kthread

- Added: Stopping.

### sysctl/procfs

- Removed: Mount.

## v0.2.0

### kthread

- Removed: Park.

## v0.2

### kthread

- Removed: Run.
`

func missing(t *testing.T, tag, dir, report string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "LOG")
	require.NoError(t, os.WriteFile(file, []byte(log), 0o600))
	got, err := check(file, tag, dir, strings.NewReader(report))
	require.NoError(t, err)
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], file, "LOG")
	}
	return got
}

func TestANameWithALineIsTold(t *testing.T) {
	require.Empty(t, missing(t, "v0.2.0", ".", `Compatible changes:
- ./kthread.(*Thread).Stopping: added
- ./kthread.(*Table[K, T]).Stopping: added
`))
	require.Empty(t, missing(t, "sysctl/procfs/v0.2.0", "sysctl/procfs", `Incompatible changes:
- Mount: removed
`))
}

func TestEachNameWithoutALineIsMissing(t *testing.T) {
	require.Equal(t, []string{
		"kthread: LOG says nothing of: ./kthread.Stop: removed",
		"kthread: LOG says nothing of: ./kthread.opping: added",
		"rwevent: LOG says nothing of: ./rwevent.(*Slot[T]).Stopping: added",
		"rwevent: LOG says nothing of: ./rwevent.(*Table[K, T]).Take, method set: changed from a to b",
	}, missing(t, "v0.2.0", ".", `Incompatible changes:
- ./kthread.Stop: removed
- ./kthread.opping: added
- ./rwevent.(*Slot[T]).Stopping: added
- ./rwevent.(*Table[K, T]).Take, method set: changed from a to b
`))
	require.Equal(t, []string{"sysctl/procfs: LOG says nothing of: Options.Log: added"},
		missing(t, "v0.2.0", "sysctl/procfs", "- Options.Log: added\n"))
}

// A line below the heading of the last tag tells of an older change.
func TestOnlyPartsAboveTheTagCount(t *testing.T) {
	parked := "- ./kthread.Park: removed\n"
	require.Len(t, missing(t, "v0.2.0", ".", parked), 1)
	require.Empty(t, missing(t, "v0.2", ".", parked))
}

func TestATagNeedsItsHeading(t *testing.T) {
	_, err := check("../../.github/CHANGELOG.md", "v9.9.9", ".", strings.NewReader(""))
	require.EqualError(t, err, "../../.github/CHANGELOG.md: no heading ## v9.9.9, which is the last tag")
}

func TestAPackageNeedsAPart(t *testing.T) {
	require.Equal(t, []string{
		"rwevent: LOG says nothing of: package github.com/kprim/kprim/rwevent: removed",
	}, missing(t, "v0.2.0", ".", `- package github.com/kprim/kprim/kthread: added
- package github.com/kprim/kprim/rwevent: removed
- package github.com/kprim/kprim/examples/ktrace: added
`))
}

func TestExamplesNeedNoLine(t *testing.T) {
	require.Empty(t, missing(t, "v0.2.0", ".", "- ./examples/step.Play: removed\n"))
}

// apidiff has two messages for one name then, and keeps one. It is in the report too.
func TestASecondMessageIsNoChange(t *testing.T) {
	require.Empty(t, missing(t, "v0.2.0", ".", "! second, different message for obj Run, isNew true, part \"\"\n"))
}

func TestALineThatIsNotUnderstoodIsAnError(t *testing.T) {
	_, err := readReport(strings.NewReader("loading old: no such module\n"), ".")
	require.EqualError(t, err, `not a line of apidiff: "loading old: no such module"`)
}
