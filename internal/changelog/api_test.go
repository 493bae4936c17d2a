package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A repository is a small one with the script .ci/api and this command.
type repository struct {
	t   *testing.T
	dir string
}

func newRepository(t *testing.T) repository {
	t.Helper()
	r := repository{t, t.TempDir()}
	r.run("git", "init", "-q")
	r.run("git", "config", "user.email", "test@example.com")
	r.run("git", "config", "user.name", "test")
	for _, file := range []string{".ci/api", "internal/changelog/main.go", "internal/changelog/parts.go", "internal/changelog/report.go"} {
		text, err := os.ReadFile("../../" + file)
		require.NoError(t, err)
		r.write(file, string(text))
	}
	r.write("go.mod", "module github.com/kprim/kprim\n\ngo 1.26.0\n")
	r.write("kthread/kthread.go", "package kthread\n\nfunc Run() {}\n")
	r.write("sub/go.mod", "module github.com/kprim/kprim/sub\n\ngo 1.26.0\n")
	r.write("sub/sub.go", "package sub\n\nfunc Mount() {}\n")
	r.write("internal/sub/go.mod", "module github.com/kprim/kprim/internal/sub\n\ngo 1.26.0\n") // has no tags
	r.write(".github/CHANGELOG.md", "# Changes\n\n## Unreleased\n\n## v0.1.0\n\n### kthread\n\n- Added: Stop.\n")
	r.commit()
	return r
}

func (r repository) write(file, text string) {
	r.t.Helper()
	file = filepath.Join(r.dir, file)
	require.NoError(r.t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(r.t, os.WriteFile(file, []byte(text), 0o755))
}

func (r repository) commit() {
	r.t.Helper()
	r.run("git", "add", "-A")
	r.run("git", "commit", "-q", "-m", "a change")
}

func (r repository) run(name string, args ...string) {
	r.t.Helper()
	out, ok := r.try(name, args...)
	require.True(r.t, ok, out)
}

// try returns the output of a command, and whether it succeeds.
func (r repository) try(name string, args ...string) (string, bool) {
	cmd := exec.Command(name, args...)
	cmd.Dir = r.dir
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

func TestTheScriptAsksForLines(t *testing.T) {
	if os.Getenv("REQUIRE_APIDIFF") == "" {
		t.Skip("set REQUIRE_APIDIFF=1 to run this test: it needs git, bash and a module proxy")
	}
	r := newRepository(t)
	out, ok := r.try(".ci/api")
	require.True(t, ok, out)
	require.Equal(t, ".: this clone has no tag v*, so there is nothing to compare\n"+
		"sub: this clone has no tag sub/v*, so there is nothing to compare\n", out)

	r.run("git", "tag", "v0.1.0")
	r.run("git", "tag", "sub/v0.1.0")
	r.write("kthread/kthread.go", "package kthread\n\nfunc Run() {}\n\nfunc Stop() {}\n")
	r.write("sub/sub.go", "package sub\n\nfunc Mounted() {}\n")
	r.commit()
	out, ok = r.try(".ci/api")
	require.False(t, ok, out)
	require.Equal(t, ".: since v0.1.0\n"+
		"kthread: .github/CHANGELOG.md says nothing of: ./kthread.Stop: added\n"+
		"sub: since sub/v0.1.0\n"+
		"sub: a change breaks callers, so the next version is a new minor one\n"+
		"sub: .github/CHANGELOG.md says nothing of: Mount: removed\n"+
		"sub: .github/CHANGELOG.md says nothing of: Mounted: added\n", withoutGo(out))

	r.write(".github/CHANGELOG.md", "# Changes\n\n## Unreleased\n\n### kthread\n\n- Added: Stop.\n\n"+
		"### sub\n\n- Renamed: Mount is Mounted.\n\n## v0.1.0\n")
	r.commit()
	out, ok = r.try(".ci/api")
	require.True(t, ok, out)

	r.write("kthread/kthread.go", "package kthread\n\nfunc Run() { nothing }\n")
	r.commit()
	out, ok = r.try(".ci/api")
	require.False(t, ok, out)
	require.Contains(t, out, "undefined: nothing")
}

// withoutGo returns a text without the lines that the go command writes about itself.
func withoutGo(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "go: ") && !strings.HasPrefix(line, "exit status") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
