package examples_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The daemon on a tree is shorter than the same on the standard library alone, and its
// README has the numbers.
//
//	go test ./examples -run Tunables -v
func TestTunablesIsShorter(t *testing.T) {
	ours, plain := programLines(t, "tunables"), programLines(t, "tunables-plain")
	t.Logf("tunables has %d lines of code, tunables-plain %d", ours, plain)
	require.Less(t, ours, plain)
	readme, err := os.ReadFile("tunables/README.md")
	require.NoError(t, err)
	require.Contains(t, string(readme), fmt.Sprintf("%d lines of code", ours))
	require.Contains(t, string(readme), fmt.Sprintf("has %d.", plain))
}

// programLines counts the lines of code of a program, without its tests.
func programLines(t *testing.T, dir string) (n int) {
	names, err := filepath.Glob(dir + "/*.go")
	require.NoError(t, err)
	for _, name := range names {
		if !strings.HasSuffix(name, "_test.go") {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			n += linesOfCode(text)
		}
	}
	return n
}
