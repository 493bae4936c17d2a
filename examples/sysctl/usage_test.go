package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUsageExplainsEachOption(t *testing.T) {
	for name, letter := range long {
		require.Regexp(t, `(?m)^  -`+string(letter)+`, --`+name+`\b`, usage)
	}
}

func TestExamplesOfTheUsageSucceed(t *testing.T) {
	examples := 0
	for line := range strings.Lines(usage) {
		if args, ok := strings.CutPrefix(line, "    go run ./examples/sysctl "); ok {
			examples++
			var stdout, stderr strings.Builder
			require.Zero(t, run(words(t, args), strings.NewReader(""), &stdout, &stderr), line)
			require.NotEmpty(t, stdout.String(), line)
			require.Empty(t, stderr.String(), line)
		}
	}
	require.GreaterOrEqual(t, examples, 2)
}

// The help text of procps is under the GPL, and this module has another licence.
// So no file of this module repeats a line of that text.
func TestTreeRepeatsNoLineOfProcps(t *testing.T) {
	lines := linesOfProcps(t)
	root := filepath.Join("..", "..")
	require.FileExists(t, filepath.Join(root, "go.mod"))
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // another test has removed its file meanwhile
			return nil
		case err != nil:
			return err
		case d.Name() == ".git" && d.IsDir():
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
			return nil // not a text
		}
		for _, line := range lines {
			assert.False(t, bytes.Contains(text, []byte(line)), "%s repeats a line of procps: %q", name, line)
		}
		return nil
	})
	require.NoError(t, err)
}

// linesOfProcps returns the long lines of the help text of the machine's
// sysctl(8). It skips the test if sysctl(8) is not from procps.
func linesOfProcps(t *testing.T) (lines []string) {
	sysctl8 := func(path string, args ...string) string {
		cmd := exec.Command(path, args...)
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		out, _ := cmd.CombinedOutput() // without arguments it fails, and prints its usage
		return string(out)
	}
	// PATH may have no sbin directory, or it may find busybox first.
	for _, name := range []string{"sysctl", "/usr/sbin/sysctl", "/sbin/sysctl"} {
		path, err := exec.LookPath(name)
		if err != nil || !strings.Contains(sysctl8(path, "--version"), "procps") {
			continue
		}
		for _, args := range [][]string{{"--help"}, nil} {
			found := 0
			for line := range strings.Lines(sysctl8(path, args...)) {
				if line = strings.TrimSpace(line); len(line) >= 20 {
					lines = append(lines, line)
					found++
				}
			}
			require.NotZero(t, found, "%s %q", path, args)
		}
		slices.Sort(lines)
		return slices.Compact(lines) // most lines are in both texts
	}
	t.Skip("no sysctl(8) of procps is installed, so there is no text to compare with")
	return nil
}
