package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("runtime.handleEvent"))
}

const source = `// Package p.
package p

//go:noinline
func F() string { /* a word */
	return "text" // a word
}

func ExampleF() {
	// a word
	F()
	// Output:
	// text
}
`

func difference(before, after string, texts bool) string {
	return firstDifference(tokens([]byte(before), texts), tokens([]byte(after), texts))
}

func TestCommentsAndLinesAreNoCode(t *testing.T) {
	require.Empty(t, difference(source, `package p

//go:noinline
func F() string {
	return "text"
}

// ExampleF shows F,
// in two lines.
func ExampleF() {
	F()

	// Output:
	// text
}
`, false))
}

func TestASemicolonIsTheSameInALineBreak(t *testing.T) {
	require.Empty(t, difference("package p\nvar a = 1; var b = 2\n", "package p\nvar a = 1\nvar b = 2", false))
}

func TestEachTokenIsCode(t *testing.T) {
	for _, c := range []struct{ before, after, want string }{
		{"package p", "package q", ":1: q, was p in line 1"},
		{"package p\nvar a = 1", "package p\n\nvar a = 2", ":3: 2, was 1 in line 2"},
		{"package p\nvar a = 1", "package p\n\nvar a = -1", ":3: -, was 1 in line 2"},
		{"package p\nvar a = 'a'", "package p\nvar a = 'b'", ":2: 'b', was 'a' in line 2"},
		{"package p", "package p\nvar a int", ":2: var, was end of file in line 1"},
		{"package p\nvar a int", "package p", ":1: end of file, was var in line 2"},
		{"", "package p", ":1: package, was end of file in line 1"},
	} {
		require.Equal(t, c.want, difference(c.before, c.after, false))
		require.Equal(t, c.want, difference(c.before, c.after, true))
	}
}

func TestStringsMayDifferIfAsked(t *testing.T) {
	before, after := "package p\nvar a = \"a\" + `b`", "package p\nvar a = \"c\" + \"d\""
	require.Equal(t, `:2: "c", was "a" in line 2`, difference(before, after, false))
	require.Empty(t, difference(before, after, true))
}

func TestAnImportIsNoText(t *testing.T) {
	require.NotEmpty(t, difference("package p\nimport \"fmt\"", "package p\nimport \"log\"", true))
}

func TestCommentsThatTheGoCommandReadsAreCode(t *testing.T) {
	for _, comment := range []string{
		"//go:build linux", "// +build linux", "//line a.go:1", "//export F", "// Output: 1",
		"// Unordered output:\n// 1", "/* Output: 1 */", "/*line a.go:1*/",
	} {
		require.NotEmpty(t, difference("package p\n"+comment+"\n", "package p\n", true), comment)
	}
	require.NotEmpty(t, difference("package p\n// Output:\n// 1\n", "package p\n// Output:\n// 2\n", true))
	// A comment behind the function is no output.
	require.Empty(t, difference("package p\n// Output:\n// 1\n}\n// 1", "package p\n// Output:\n// 1\n}\n// 2", true))
}

// commit writes files into a repository, removes those without text, and commits.
func commit(t *testing.T, g git, files map[string]string) {
	t.Helper()
	for name, text := range files {
		name = filepath.Join(g.dir, name)
		if text == "" {
			require.NoError(t, os.Remove(name))
			continue
		}
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	for _, args := range [][]string{
		{"add", "-A"},
		{"-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "-q", "-m", "a change"},
	} {
		_, err := g.run(args...)
		require.NoError(t, err)
	}
}

func TestFilesOfTwoRevisions(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("this machine has no git")
	}
	g := git{t.TempDir()}
	_, err := g.run("init", "-q")
	require.NoError(t, err)
	commit(t, g, map[string]string{
		"gone.go": "package p", "words.go": "package p // a", "code.go": "package p", "mode.go": "package p",
		"README.md": "a", "run": "a", "same.go": "package p", "a name.go": "package p",
	})
	require.NoError(t, os.Chmod(filepath.Join(g.dir, "mode.go"), 0o700))
	commit(t, g, map[string]string{
		"gone.go": "", "new.go": "package p", "words.go": "package p // b", "code.go": "package q",
		"README.md": "b", "run": "b", "a name.go": "package p // b",
	})
	differences, files, err := compare(g, "HEAD~1", "HEAD", false)
	require.NoError(t, err)
	require.Equal(t, []string{
		"code.go:1: q, was p in line 1", "gone.go: is gone", "mode.go: has another mode or type", "new.go: is new",
		"run: is neither Go nor Markdown",
	}, differences)
	require.Equal(t, 8, files)

	_, _, err = compare(g, "nowhere", "HEAD", false)
	require.ErrorContains(t, err, "nowhere")
}
