// Package models runs the models of this module's packages. It knows how many orders each
// of them has, and holds the READMEs to these numbers.
package models

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue/explore"
)

// Pins has how many orders the model of a test has, by the test's name.
type Pins map[string]int

// done has the tests whose models were explored to the end, by name, with their points.
var done sync.Map

// Explore takes a model through all its orders, with stops at the points of the list,
// which has commas. The test fails if one is bad, or if their number is another one.
func (p Pins) Explore(t *testing.T, points string, model func(*explore.Model)) {
	t.Helper()
	explore.Search{Points: List(points), Want: p.of(t)}.Test(t, model)
	done.Store(t.Name(), List(points))
}

// of returns the pin of the test.
func (p Pins) of(t *testing.T) int {
	t.Helper()
	want, ok := p[t.Name()]
	require.True(t, ok, "there is no pin for this model")
	return want
}

// List takes a list with commas apart.
func List(points string) (names []string) {
	for name := range strings.SplitSeq(points, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// Stated holds the READMEs to three numbers of pkg: the lines that the test of its models
// prints, the orders of all its models, and the mutants.
// When all tests have run it also fails if a model that has a pin was not explored.
func (p Pins) Stated(t *testing.T, pkg string, mutants int) {
	sum := 0
	for test, n := range p {
		sum += n
		if _, ok := done.Load(test); !ok && allTests() {
			t.Errorf("there is no model of %s", test)
		}
	}
	total := fmt.Sprintf("%d,%03d", sum/1000, sum%1000)
	requireText(t, "../README.md", fmt.Sprintf("`go test ./%s -run Interleavings -v` prints %d lines with %s orders", pkg, len(p), total))
	requireText(t, "README.md", "none of "+total)
	requireText(t, "README.md", fmt.Sprintf("breaks the code in %d ways", mutants))
}

// allTests reports whether each model has been explored before Stated is called. A shuffled run
// may call it first.
func allTests() bool {
	set := func(name string) string { return flag.Lookup(name).Value.String() }
	return set("test.run") == "" && set("test.skip") == "" && set("test.shuffle") == "off"
}

func requireText(t *testing.T, file, want string) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, strings.Contains(strings.Join(strings.Fields(string(text)), " "), want), "%s does not say %q", file, want)
}
