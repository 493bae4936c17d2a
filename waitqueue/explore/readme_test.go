package explore_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/internal/readmes"
	"github.com/kprim/kprim/waitqueue/explore"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	return string(text)
}

// blocks returns the README's code blocks in the language lang.
func blocks(t *testing.T, lang string) (found []string) {
	t.Helper()
	for _, m := range regexp.MustCompile("(?s)```"+lang+"\n(.*?)```").FindAllStringSubmatch(readme(t), -1) {
		found = append(found, m[1])
	}
	return found
}

// durations are the only thing in which two runs of the first model differ.
var durations = regexp.MustCompile(`\b[0-9.]+m?s\b`)

// A stranger types the first model, and sees the output that the README shows. The command that is
// printed shows the order again.
func TestREADMEFirstModelPrintsItsText(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a module of its own")
	}
	dir := t.TempDir()
	here, err := filepath.Abs("../..")
	require.NoError(t, err)
	mod := "module example.com/counter\n\ngo 1.26.0\n\nrequire github.com/kprim/kprim v0.0.0\n\nreplace github.com/kprim/kprim => " + here + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(mod), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "counter_test.go"), []byte(blocks(t, "go")[0]), 0o600))
	want := blocks(t, "text")[0]

	out, _ := goIn(t, dir, "vet", ".")
	require.Empty(t, out)
	out, err = goIn(t, dir, "test")
	require.Error(t, err)
	require.Equal(t, durations.ReplaceAllString(want, "0s"), durations.ReplaceAllString(out, "0s"))

	replay := regexp.MustCompile(`(?s)4 steps:\n(.*)        replay it: go test -run '(.*)' (-explore.replay) (\S+)`).FindStringSubmatch(want)
	out, err = goIn(t, dir, "test", "-run", replay[2], replay[3], replay[4])
	require.Error(t, err)
	require.Contains(t, out, replay[1])
}

// The package doc shows the same model, the same order and the same sizes.
func TestPackageDocSaysTheSameAsTheREADME(t *testing.T) {
	doc, err := os.ReadFile("explore.go")
	require.NoError(t, err)
	_, model, _ := strings.Cut(blocks(t, "go")[0], "\n\nfunc ")
	require.Contains(t, string(doc), commented("func "+model, "//\t"))
	order := regexp.MustCompile(`(?m)^ {8}|^    counter_test\.go:\d+: `).ReplaceAllString(blocks(t, "text")[0], "")
	_, order, _ = strings.Cut(order, "\n")
	order, _, _ = strings.Cut(order, "FAIL\n")
	require.Contains(t, string(doc), commented(order, "//\t"))
	require.Contains(t, string(doc), "These are 63,063,000 for four goroutines of four\n//     steps, and 34,650 for three.")
	require.Contains(t, readme(t), "| 4 × 4 | 63,063,000 |")
	require.Contains(t, readme(t), "| 3 × 4 | 34,650 |")
}

// commented returns text as the lines of a comment.
func commented(text, prefix string) (comment string) {
	for line := range strings.Lines(text) {
		comment += prefix + line
	}
	return comment
}

// The other Go code of the README is in a file that is tested.
func TestREADMEHasOnlyCodeThatRuns(t *testing.T) {
	needBugs(t)
	tested := ""
	files, err := filepath.Glob("testdata/bugs/*.go")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		tested += regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(string(text), "")
	}
	for _, block := range blocks(t, "go")[1:] {
		require.Contains(t, tested, regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(block, ""))
	}
}

func TestREADMEListsThePoints(t *testing.T) {
	rows := ""
	for _, p := range point.All {
		held := ""
		if p.Locked {
			held = "held "
		}
		rows += fmt.Sprintf("| `%s` | %s | %s | %s|\n", p.Name, p.Package, p.Where, held)
	}
	_, table, _ := strings.Cut(readme(t), "| point | package | where | lock |\n|---|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	require.Equal(t, rows, table+"\n")
}

func TestREADMEListsTheFlags(t *testing.T) {
	rows := 0
	flag.VisitAll(func(f *flag.Flag) {
		if strings.HasPrefix(f.Name, "explore.") {
			_, usage := flag.UnquoteUsage(f)
			require.Contains(t, readme(t), fmt.Sprintf("| `-%s` | %s |\n", f.Name, usage))
			rows++
		}
	})
	require.Equal(t, rows, strings.Count(readme(t), "| `-explore."))
}

// The sizes of the README are computed. For the small ones the search says the same.
func TestREADMEHasTheSizes(t *testing.T) {
	const goroutines, steps, all = 1, 2, 3
	rows := regexp.MustCompile(`(?m)^\| (\d+) × (\d+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$`).FindAllStringSubmatch(readme(t), -1)
	require.NotEmpty(t, rows)
	for _, row := range rows {
		sizes := make([]int, number(t, row[goroutines]))
		for i := range sizes {
			sizes[i] = number(t, row[steps])
		}
		total := number(t, row[all])
		require.Equal(t, byFormula(sizes), total, row[0])
		require.Equal(t, total, ordersWithin(1<<10, sizes), row[0])
		for i, bound := range []int{3, 2, 1} {
			want := number(t, row[all+1+i])
			require.Equal(t, ordersWithin(bound, sizes), want, row[0])
			if want < 500 {
				require.Equal(t, want, explore.Search{Preemptions: bound}.Find(t, strollers(sizes...)).Orders, row[0])
			}
		}
	}
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.ReplaceAll(text, ",", ""))
	require.NoError(t, err)
	return n
}

// byFormula counts the orders of goroutines with so many steps each.
func byFormula(steps []int) int {
	orders, made := 1, 0
	for _, n := range steps {
		for k := 1; k <= n; k++ {
			made++
			orders = orders * made / k
		}
	}
	return orders
}

// ordersWithin counts the orders of goroutines with so many steps each that have no more
// preemptions than bound.
func ordersWithin(bound int, steps []int) int {
	known := map[string]int{}
	var count func(left []int, last, bound int) int
	count = func(left []int, last, bound int) (n int) {
		key := fmt.Sprint(left, last, bound)
		if n, ok := known[key]; ok || bound < 0 {
			return n
		}
		end := true
		for i := range left {
			if left[i] == 0 {
				continue
			}
			end = false
			then := bound
			if last >= 0 && last != i && left[last] > 0 {
				then--
			}
			left[i]--
			n += count(left, i, then)
			left[i]++
		}
		if end {
			n = 1
		}
		known[key] = n
		return n
	}
	return count(append([]int{}, steps...), -1, bound)
}

// The README says how many orders each bug has.
func TestREADMESaysHowManyOrdersTheBugsHave(t *testing.T) {
	needBugs(t)
	row := regexp.MustCompile(`\(testdata/bugs/(\w+)\.go\) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) orders, 0 bad \|`)
	rows := row.FindAllStringSubmatch(readme(t), -1)
	require.Len(t, rows, 5)
	for _, r := range rows {
		text, err := os.ReadFile("testdata/bugs/" + r[1] + "_test.go")
		require.NoError(t, err)
		require.Contains(t, string(text), fmt.Sprintf(", %d, %d, `", number(t, r[2]), number(t, r[3])))
		require.Contains(t, string(text), fmt.Sprintf(", %d)\n", number(t, r[4])))
	}
}

func TestREADMEIsShort(t *testing.T) {
	require.LessOrEqual(t, strings.Count(readme(t), "\n"), 214)
	require.Empty(t, readmes.Long(readme(t)))
}

func TestREADMELinksLeadSomewhere(t *testing.T) {
	needBugs(t)
	for _, m := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(readme(t), -1) {
		_, err := os.Stat(m[1])
		require.NoError(t, err)
	}
}

// goIn runs the go command in a directory, and returns its output.
func goIn(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
