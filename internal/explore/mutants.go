package explore

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// A Mutant is a package with one mistake, made by one change of its text. The
// explorer is worth what it finds: some schedule must be bad then. A change that
// fits no longer fails its test, so mutants do not rot.
type Mutant struct {
	Name string
	By   string // the TestInterleavings that finds it, without this prefix

	File, Old, New string
}

var allMutants = flag.Bool("mutants", false, "build and test all mutants, and not three")

var badSchedules = regexp.MustCompile(`(?m)^--- FAIL: TestInterleavings\w+|\d+ schedules, [1-9]\d* bad`)

// Mutants fails if a mutant of the package in the working directory has no bad
// schedule in its test. Optimization: the other tests do not run. Without the flag -mutants it
// tries the first three of them.
func Mutants(t *testing.T, mutants []Mutant) {
	if !*allMutants {
		mutants = mutants[:3]
	}
	if testing.Short() || Race {
		t.Skip("builds the package once for each mutant")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	for _, m := range mutants {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			test := exec.Command("go", "test", "-vet=off", "-short", "-failfast", "-timeout=60s", "-count=1", "-v",
				"-run=^TestInterleavings"+m.By+"$", "-firstbad", "-overlay="+overlay(t, m.File, m.Old, m.New), ".")
			out, err := test.CombinedOutput()
			require.Error(t, err, "no schedule is bad")
			found := badSchedules.FindAll(out, -1)
			require.NotEmpty(t, found, "failed, but by no schedule: %s", out)
			t.Logf("%s", bytes.Join(found, []byte("\n")))
		})
	}
}

// overlay returns the name of a file that tells the go command to read file
// with one piece of its text replaced.
func overlay(t *testing.T, file, old, new string) string {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, 1, bytes.Count(text, []byte(old)), "%s has changed: the mutant has to follow", file)

	original, err := filepath.Abs(file)
	require.NoError(t, err)
	mutated := filepath.Join(t.TempDir(), file)
	text = bytes.Replace(text, []byte(old), []byte(new), 1)
	require.NoError(t, os.WriteFile(mutated, text, 0o600))

	list, err := json.Marshal(map[string]any{"Replace": map[string]string{original: mutated}})
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "overlay.json")
	require.NoError(t, os.WriteFile(name, list, 0o600))
	return name
}
