package trace_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/kerneltable"
)

// The Kernel: lines and the table of the README say the same.
func TestKernelLines(t *testing.T) {
	require.Empty(t, kerneltable.Faults(os.DirFS(".")))
}
