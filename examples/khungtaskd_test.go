package examples_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// The detector of hung tasks fits on a few screens, and its README has the number of lines.
func TestKhungtaskdIsShort(t *testing.T) {
	lines := programLines(t, "khungtaskd")
	require.Less(t, lines, 200)
	readme, err := os.ReadFile("khungtaskd/README.md")
	require.NoError(t, err)
	require.Contains(t, string(readme), fmt.Sprintf("have %d lines of code", lines))
}
