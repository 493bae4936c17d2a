package kerneltable_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/kerneltable"
)

const source = `// Package p is small, as of Linux 7.3.
//
// Kernel: kernel/p.c
package p

// F does it.
//
// Kernel: f, f_all
//
// Differs: f_all: returns nothing.
func F() {}

// T does it too.
//
// Kernel: struct t, /proc/t
//
// Differs: has no link.
type T struct {
	// Name is a string.
	//
	// Kernel: t.name
	//
	// Differs: may be long.
	Name string
}

// M does it with the rest.
//
// Kernel: f, in a t
func (T) M() {}
`

const readme = `# p

## The kernel's calls

| kernel | Go | |
|---|---|---|
| ~f~ | ~p.F~ | same |
| ~f_all~ | ~p.F~ | differs: returns nothing |
| ~struct t~ | ~p.T~ | differs: has no link |
| ~t.name~ | ~p.T.Name~ | differs: may be long |
| ~g~, ~h~ | - | none: Go has a statement |
`

func faults(source, readme string) []string {
	return kerneltable.Faults(fstest.MapFS{
		"p.go":      {Data: []byte(source)},
		"p_test.go": {Data: []byte("no Go")},
		"README.md": {Data: []byte(strings.ReplaceAll(readme, "~", "`"))},
	})
}

func TestPackageThatIsTrueHasNoFaults(t *testing.T) {
	require.Empty(t, faults(source, readme))
}

// Each mutant changes one line of the source or of the table, and has one fault or more.
func TestMutantsHaveFaults(t *testing.T) {
	for _, mutant := range []struct{ old, new, fault string }{
		{"same |", "differs: is slow |", "no Differs: line is about them"},
		{"| differs: returns nothing", "| same", "their row says same"},
		{"| differs: has no link", "| same", "their row says same"},
		{"| same", "| almost same", "neither same nor how it differs"},
		{"| same", "| differs", "neither same nor how it differs"},
		{"// Differs: f_all: returns nothing.\n", "", "no Differs: line is about them"},
		{"f_all: returns", "f: returns", "their row says same"},
		{"f_all: returns", "f_some: returns", "a name that is not in the Kernel: line"},
		{"f_all: returns", "f, f_some: returns", "has no colon after the names"},
		{"f_all: returns", "g: returns", "a name that is not in the Kernel: line"},
		{"f_all: returns", "f_some returns", "a name that is not in the Kernel: line"},
		{"f_all: returns", "f_all returns", "has no colon after the names"},
		{"has no link.", "struct t has no link.", "has no colon after the names"},
		{"has no link.", "struct u has no link.", "a name that is not in the Kernel: line"},
		{"// Kernel: f, in a t", "// Differs: quick.", "follows no Kernel: line"},
		{"// Kernel: f, in a t", "// Kernel: f\n//\n// Differs: quick.", `p.T.M: a Differs: line is about ["f"], which have no row`},
		{"| ~t.name~ | ~p.T.Name~ | differs: may be long |\n", "", `p.T.Name: a Differs: line is about ["t.name"], which have no row`},
		{"Kernel: f, f_all", "Kernel: f, f_all, f_new", "p.F: its Kernel: line has f_new"},
		{"Kernel: f, f_all", "Kernel: f, f_all, g", "p.F: its Kernel: line has g"},
		{"| ~f~ |", "| ~f~, ~f_old~ |", "p.F: its row has f_old"},
		{"| ~f~ |", "| f |", "no kernel name in backquotes"},
		{"| ~f~ | ~p.F~ | same |\n", "", "its Kernel: line has f, which no row"},
		{"~g~, ~h~", "~g~, ~f~", "f has a row that says none, and a row with a Go name"},
		{"none: Go has a statement", "same", "no Go name and no reason"},
		{"none: Go has a statement", "none: ", "no Go name and no reason"},
		{"~p.F~ | same", "~p.G~ | same", "p.G has a row and does not exist"},
		{"~p.F~ | same", "nothing | same", "a row of another form"},
		{"| same |", "|", "a row of another form"},
		{"## The kernel's calls", "## Calls", "no table of the kernel's calls"},
		{"as of Linux 7.3", "as of Linux", "package p: its comment does not say once"},
		{"is small", "as of Linux 7.3, is small", "package p: its comment does not say once"},
		{"package p\n", "packet p\n", "p.go:4:1"},
	} {
		t.Run(mutant.new, func(t *testing.T) {
			mutated := func(text string) string { return strings.Replace(text, mutant.old, mutant.new, 1) }
			require.NotEqual(t, source+readme, mutated(source)+mutated(readme))
			require.Contains(t, strings.Join(faults(mutated(source), mutated(readme)), "\n"), mutant.fault)
		})
	}
}

func TestCommentsOfAllKindsOfNames(t *testing.T) {
	comments, err := kerneltable.Comments(fstest.MapFS{"p.go": {Data: []byte(`// Package p is small.
package p

// Both are numbers.
const (
	One = 1 // is odd
	Two = 2
)

// E happens.
var E error

// I waits.
type I interface {
	// Wait waits.
	Wait()
	hidden()
}

// New makes one.
func New() I
`)}})
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"p":     "Package p is small.\n",
		"p.One": "Both are numbers.\n\nis odd\n", "p.Two": "Both are numbers.\n",
		"p.E": "E happens.\n", "p.I": "I waits.\n", "p.I.Wait": "Wait waits.\n", "p.New": "New makes one.\n",
	}, comments)
}
