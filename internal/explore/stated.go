package explore

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Stated fails if the file does not say how many lines the test of the package's
// models prints, and how many schedules they have in all.
func Stated(t *testing.T, file, pkg string, schedules map[string]int) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	sum := 0
	for _, n := range schedules {
		sum += n
	}
	want := fmt.Sprintf("`go test %s -run Interleavings -v` prints %d lines with %d,%03d schedules", pkg, len(schedules), sum/1000, sum%1000)
	require.Contains(t, strings.Join(strings.Fields(string(text)), " "), want)
}
