package explore

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// explored has the names of the tests whose models were explored to the end.
var explored sync.Map

// Stated fails if the READMEs do not say how many lines the test of the models of
// pkg prints, how many schedules they have in all, and how many mutants there are.
// When all tests have run it also fails if a model that is counted was not explored.
func Stated(t *testing.T, pkg string, schedules map[string]int, mutants []Mutant) {
	sum := 0
	for test, n := range schedules {
		sum += n
		if _, ok := explored.Load(test); !ok && allTests() {
			t.Errorf("there is no model of %s", test)
		}
	}
	total := fmt.Sprintf("%d,%03d", sum/1000, sum%1000)
	requireText(t, "../README.md", fmt.Sprintf("`go test ./%s -run Interleavings -v` prints %d lines with %s schedules", pkg, len(schedules), total))
	requireText(t, "README.md", "none of "+total)
	requireText(t, "README.md", fmt.Sprintf("breaks the code in %d ways", len(mutants)))
}

func allTests() bool {
	return flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == ""
}

func requireText(t *testing.T, file, want string) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, strings.Join(strings.Fields(string(text)), " "), want)
}
