package explore_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// needBugs skips a test that reads testdata/bugs where this package is a dependency: the go
// command leaves a module inside of another one out.
func needBugs(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("testdata/bugs"); os.IsNotExist(err) {
		t.Skip("testdata/bugs is a module of its own, and is not here")
	}
}

// A module outside of this one finds five classic bugs, with only the standard library and
// this package. Its tests hold the printed orders. One more lets a mutant be found.
func TestAStrangerFindsFiveBugs(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a module of its own")
	}
	needBugs(t)
	out, err := goIn(t, "testdata/bugs", "vet", "./...")
	require.NoError(t, err, out)
	out, err = goIn(t, "testdata/bugs", "test", "-count=1", "-v", "./...")
	t.Log(out)
	require.NoError(t, err)
	require.Len(t, regexp.MustCompile(`(?m)^--- PASS: `).FindAllString(out, -1), 5+2)
}

// The module outside has the code of no other module in its tests.
func TestAStrangerGetsNoThirdParty(t *testing.T) {
	needBugs(t)
	out, err := goIn(t, "testdata/bugs", "list", "-deps", "-test", "-f", "{{with .Module}}{{.Path}}{{end}}", "./...")
	require.NoError(t, err, out)
	for module := range strings.FieldsSeq(out) {
		require.Contains(t, []string{"example.com/bugs", "github.com/kprim/kprim"}, module)
	}
}
