// Package mutation asks whether a test would notice a mistake.
//
// A model that has no bad order says little until it is seen to find one. A [Change]
// makes one mistake in the code, by one change of its text, and runs one test on that:
// some order must be bad. The file itself stays as it is: the go command reads the
// changed text in its place, with -overlay.
package mutation

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A Change is a mistake that a test has to notice.
type Change struct {
	Name string // the name of the mistake, and of its subtest
	Test string // the name of the test, with its subtests if they are wanted: "TestA" or "TestA/B"

	// Old is in File exactly once, and New takes its place. Test fails if Old is no longer
	// there: then the code has changed, and the Change has to follow.
	File, Old, New string

	// Plain is for a test without package explore. It has to fail, and need not show an
	// order.
	Plain bool

	Args []string // further flags of the test, such as -explore.preemptions=3
}

// Test makes each change in the package of the working directory, and fails if the test of
// the change passes. Each change has a parallel subtest. Test needs the go command. It also
// fails if a test with a change does not end within a minute.
func Test(t *testing.T, changes ...Change) {
	t.Helper()
	for _, c := range changes {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			c.test(t)
		})
	}
}

// The output of a test that has noticed a change matches failed, and bad if it has an order.
var (
	failed = regexp.MustCompile(`(?m)^--- FAIL: `)
	bad    = regexp.MustCompile(`(?s)a bad order, after .*?replay it: [^\n]*`)
)

func (c Change) test(t *testing.T) {
	overlay := c.overlay(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	args := []string{"test", "-vet=off", "-failfast", "-timeout=60s", "-count=1", "-overlay=" + overlay, "-run=" + pattern(c.Test), "."}
	if !c.Plain {
		args = append(args, "-explore.first")
	}
	test := exec.CommandContext(ctx, "go", append(args, c.Args...)...)
	out, err := test.CombinedOutput()
	order := bad.Find(out)
	switch {
	case err == nil && bytes.Contains(out, []byte("no tests to run")):
		t.Fatalf("there is no test %s", c.Test)
	case err == nil:
		t.Fatalf("%s passes", c.Test)
	case order == nil && !(c.Plain && failed.Match(out)):
		t.Fatalf("%s shows no bad order:\n%s", c.Test, out)
	case order == nil:
		t.Logf("%s fails", c.Test)
	default:
		t.Logf("%s", order)
	}
}

// pattern returns the pattern with which -run runs one test.
func pattern(test string) string {
	parts := strings.Split(test, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(parts, "/")
}

// overlay returns the name of a file that tells the go command to read File with the
// change.
func (c Change) overlay(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(c.File)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte(c.Old)); n != 1 {
		t.Fatalf("%s has the old text %d times, and not once: the change has to follow", c.File, n)
	}
	original, err := filepath.Abs(c.File)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, filepath.Base(c.File))
	write(t, changed, bytes.Replace(text, []byte(c.Old), []byte(c.New), 1))
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "overlay.json")
	write(t, name, list)
	return name
}

func write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
