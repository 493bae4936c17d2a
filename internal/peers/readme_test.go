package peers

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// The README has a row for each way of each job, in their order.
func TestREADMEHasTheWaysOfEachJob(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var want, rows [][2]string
	for _, j := range jobs() {
		name := j.name
		for _, w := range j.ways {
			want = append(want, [2]string{name, w.name})
			name = "" // the rows below the first one leave it out
		}
	}
	row := regexp.MustCompile(`(?m)^\| (\w*) ?\| (.+?) \| [0-9.]+ \| [0-9.]+ \|$`)
	for _, m := range row.FindAllSubmatch(text, -1) {
		rows = append(rows, [2]string{string(m[1]), string(m[2])})
	}
	require.Equal(t, want, rows)
}

// The README of kprim names jobs that exist, in the last column of its comparison.
func TestREADMEOfKprimNamesTheJobs(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	var names []string
	for _, j := range jobs() {
		names = append(names, j.name)
	}
	named := regexp.MustCompile(`\b([A-Z]\w+): [0-9.]+`).FindAllSubmatch(text, -1)
	require.Greater(t, len(named), 8)
	for _, m := range named {
		require.Contains(t, names, string(m[1]))
	}
}
