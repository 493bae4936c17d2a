package models

import (
	"flag"
	"os/exec"
	"testing"

	"github.com/kprim/kprim/waitqueue/explore/mutation"
)

// A Mutant is a mistake in a package that a test of its models has to notice.
type Mutant struct {
	Name string
	By   string // the test, without TestInterleavings in front

	File, Old, New string

	Plain bool // the test steps through its one order by itself
}

var (
	all    = flag.Bool("mutants", false, "build and test all mutants, and not one")
	eighth = flag.Int("mutants.eighth", 0, "with -mutants: 1 for the first, ninth and so on, up to 8 for the eighth, sixteenth and so on")
)

// Mutants fails if a mutant of the package in the working directory is not noticed by
// its test, with at most three preemptions. Without the flag -mutants it tries the
// first one. The build has the tag mutant: test files that hold no model, and
// take long to build, leave themselves out.
func Mutants(t *testing.T, mutants []Mutant) {
	if testing.Short() || Race {
		t.Skip("builds the package once for each mutant")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	if !*all {
		mutants = mutants[:1]
	}
	for i, m := range mutants {
		if *eighth != 0 && i%8 != *eighth-1 {
			continue
		}
		c := mutation.Change{Name: m.Name, Test: "TestInterleavings" + m.By, File: m.File, Old: m.Old, New: m.New, Plain: m.Plain}
		if c.Args = []string{"-short", "-tags=mutant"}; !m.Plain {
			c.Args = append(c.Args, "-explore.preemptions=3")
		}
		mutation.Test(t, c)
	}
}
