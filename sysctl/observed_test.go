package sysctl_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/observed"
	"github.com/kprim/kprim/sysctl"
)

// TestObserved repeats in the process the cases that were observed on real kernels. It
// compares result, errno, position, mode and size, and the value after. The file has the
// handlers, bounds, modes and values before. It prints how many cases there were, and each
// that cannot be done here, with the reason.
//
//	go test ./sysctl -run TestObserved -v
//
// KPRIM_OBSERVED names another directory with such files. Package procfs has the same
// test for processes and a mount.
func TestObserved(t *testing.T) {
	files, err := observed.Files("testdata")
	require.NoError(t, err)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { testObserved(t, file) })
	}
}

func testObserved(t *testing.T, file string) {
	cases, err := observed.Read(file)
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	agreed, differing := 0, 0
	left := map[string]int{}
	for i, c := range cases {
		got, reason, err := runObserved(c)
		switch {
		case reason != "":
			left[fmt.Sprintf("%s of %s: %s", c.Op, c.Entry, reason)]++
		case err == nil && reflect.DeepEqual(got, c.Want()):
			agreed++
		default:
			differing++
			if differing <= 20 {
				t.Errorf("case %d: %s: %v\n got %v\nwant %v", i+1, c, err, got, c.Want())
			}
		}
	}
	t.Logf("%d cases: %d agree, %d differ, %d cannot be done here", len(cases), agreed, differing, len(cases)-agreed-differing)
	for _, what := range slices.Sorted(maps.Keys(left)) {
		t.Logf("%5d %s", left[what], what)
	}
	require.Zero(t, differing)
}

// runObserved does a case here. If it cannot be done, there is a reason.
func runObserved(c observed.Case) (o observed.Outcome, reason string, err error) {
	if reason := notHere(c); reason != "" {
		return o, reason, nil
	}
	tree, reason, err := c.Tree()
	if reason != "" || err != nil {
		return o, reason, err
	}
	ops := map[string]func(observed.Case, *observed.Outcome){}
	for name, do := range observedOps {
		ops[name] = func(c observed.Case, o *observed.Outcome) { do(c, tree, o) }
	}
	o, err = c.Run(observed.InProcess{Tree: tree}, ops)
	return o, "", err
}

// must is for calls that do not fail, unless the file or the package is wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func openEntry(c observed.Case, tree *sysctl.Tree, flag int) *sysctl.File {
	return must(tree.OpenFile(sysctl.Root, c.Entry, flag))
}
