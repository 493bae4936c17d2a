// Package examples_test holds the README and the doc comments to the code.
package examples_test

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/internal/kerneltable"
	"github.com/kprim/kprim/waitqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// packages have names of the kernel, and tools have none.
var (
	packages = []string{
		"waitqueue", "kthread", "rwevent", "usermodehelper", "sysctl", "sysctl/vfs", "sysctl/procfs",
	}
	tools = []string{
		"waitqueue/explore", "sysctl/sysctlhttp", "waitqueue/explore/mutation", "sysctl/sysctlexpvar",
		"kthread/printk", "kthread/kthreadhttp", "kthread/kthreadexpvar",
		"kthread/trace", "kthread/trace/picture",
	}
)

func readme(t *testing.T) string {
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	return string(text)
}

// blocks returns the README's code blocks in the language lang.
func blocks(t *testing.T, lang string) (found []string) {
	for _, m := range regexp.MustCompile("(?s)```"+lang+"\n(.*?)```").FindAllStringSubmatch(readme(t), -1) {
		found = append(found, m[1])
	}
	return found
}

// The first program of the README is vetted and run as it stands there, in this
// module. The README shows its whole output.
func TestReadmeProgramPrintsTheOutputOfTheReadme(t *testing.T) {
	programs, outputs := blocks(t, "go"), blocks(t, "text")
	require.Len(t, programs, 1)
	require.Len(t, outputs, 1)
	file := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(file, []byte(programs[0]), 0o600))
	vet, err := exec.Command("go", "vet", file).CombinedOutput()
	require.NoError(t, err, "%s", vet)
	out, err := exec.Command("go", "run", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, outputs[0], string(out))
}

// The README names the error of a first program that has waited in vain.
func TestReadmeShowsTheErrorOfATimeout(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	var queue waitqueue.Queue
	err := queue.Wait(ctx, func() bool { return false })
	require.Error(t, err)
	require.Contains(t, readme(t), "`"+err.Error()+"`")
}

// .ci/run looks for the one line of the README that is a go test command.
func TestReadmeHasItsCommands(t *testing.T) {
	want := []string{
		"go get github.com/kprim/kprim\n",
		"go run ./examples/monitor-and-helper\ngo test ./...\n",
	}
	require.Equal(t, want, blocks(t, "sh"))
	require.Equal(t, []string{"go test ./..."}, regexp.MustCompile(`(?m)^go test .*$`).FindAllString(readme(t), -1))
}

// Each command in the text of the README names a package, and a test or a
// benchmark of that package.
func TestReadmeCommandsFindTheirTests(t *testing.T) {
	command := regexp.MustCompile("`go (?:run|test) \\./([^ `]+)([^`]*)`")
	commands := command.FindAllStringSubmatch(readme(t), -1)
	require.GreaterOrEqual(t, len(commands), 8)
	for _, c := range commands {
		require.DirExists(t, "../"+c[1], c[0])
		for _, m := range regexp.MustCompile(`-(run|bench) ([^ /]+)`).FindAllStringSubmatch(c[2], -1) {
			kind := map[string]string{"run": "Test", "bench": "Benchmark"}[m[1]]
			if m[2] != "-" { // which is no test
				require.True(t, hasTest(t, c[1], kind, m[2]), c[0])
			}
		}
	}
}

// hasTest reports whether the package in dir has a function of that kind, Test
// or Benchmark, whose name matches the pattern.
func hasTest(t *testing.T, dir, kind, pattern string) bool {
	files, err := filepath.Glob("../" + dir + "/*_test.go")
	require.NoError(t, err)
	function := regexp.MustCompile(`(?m)^func (` + kind + `\w+)\(`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range function.FindAllSubmatch(text, -1) {
			if regexp.MustCompile(pattern).Match(m[1]) {
				return true
			}
		}
	}
	return false
}

// Each link of the README leads to a file, and to a heading of that file if it
// names one. The table of packages links to the kernel names of each package.
func TestReadmeLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)(?:#([^)]+))?\)`)
	for _, m := range link.FindAllStringSubmatch(readme(t), -1) {
		_, err := os.Stat("../" + m[1])
		require.NoError(t, err)
		if m[2] != "" {
			text, err := os.ReadFile("../" + m[1])
			require.NoError(t, err)
			require.Contains(t, anchors(string(text)), m[2], m[0])
		}
	}
	for _, name := range packages {
		require.Contains(t, readme(t), "("+name+"/README.md#the-kernels-calls)")
	}
}

// anchors returns the names by which links find the headings of a README.
func anchors(text string) (found []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		words := strings.ReplaceAll(strings.ToLower(m[1]), " ", "-")
		found = append(found, regexp.MustCompile(`[^a-z0-9_-]`).ReplaceAllString(words, ""))
	}
	return found
}

// The README is short, and so are its paragraphs and rows. A list item is a
// paragraph of its own.
func TestReadmeIsShort(t *testing.T) {
	require.LessOrEqual(t, strings.Count(readme(t), "\n"), 160)
	text := regexp.MustCompile("(?s)```.*?```").ReplaceAllString(readme(t), "")
	paragraph := 0
	for line := range strings.Lines(text) {
		switch {
		case strings.TrimSpace(line) == "", strings.HasPrefix(line, "| "):
			paragraph = 0
		case strings.HasPrefix(line, "- "):
			paragraph = 1
		default:
			paragraph++
		}
		require.LessOrEqual(t, paragraph, 5, "the paragraph that ends with %s", line)
		require.LessOrEqual(t, len(line)-1, 160, line)
	}
}

// The Kernel: and Differs: lines of the doc comments and the tables of the packages say
// the same. Package kerneltable has the rules.
func TestDocCommentsAndTablesSayTheSame(t *testing.T) {
	for _, name := range packages {
		for _, fault := range kerneltable.Faults(os.DirFS("../" + name)) {
			t.Error(fault)
		}
	}
}

// The README of a package is short without its table. So are the rows of that table.
func TestReadmesOfThePackagesAreShort(t *testing.T) {
	for _, name := range packages {
		lines := 0
		for line := range strings.Lines(packageReadme(t, name)) {
			if !strings.HasPrefix(line, "| `") {
				lines++
				continue
			}
			assert.LessOrEqual(t, len(line)-1, 160, "%s: %s", name, line)
		}
		assert.LessOrEqual(t, lines, 150, name)
	}
}

func packageReadme(t *testing.T, name string) string {
	text, err := os.ReadFile("../" + name + "/README.md")
	require.NoError(t, err)
	return string(text)
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	for symbol, comment := range documented(t) {
		require.NotEmpty(t, strings.TrimSpace(comment), symbol)
	}
}

// documented returns the doc comments of all packages, by package.Symbol.
func documented(t *testing.T) map[string]string {
	docs := map[string]string{}
	for _, name := range slices.Concat(packages, tools) {
		comments, err := kerneltable.Comments(os.DirFS("../" + name))
		require.NoError(t, err)
		require.NotEmpty(t, comments, name)
		maps.Copy(docs, comments)
	}
	return docs
}
