package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/internal/counterpart"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write testdata from the output of the program")

var articles = []string{"blocking-proc-file", "kthread-loop", "monitor-and-helper", "start-stop-kthread"}

// output runs the program in this folder.
func output(t *testing.T, args ...string) string {
	var out strings.Builder
	require.NoError(t, run(args, here(t), &out))
	return out.String()
}

func here(t *testing.T) string {
	dir, err := os.Getwd()
	require.NoError(t, err)
	return dir
}

// The program prints the same when it runs twice.
func TestOutputIsThatOfTestdata(t *testing.T) {
	for _, name := range articles {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name+".txt")
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(output(t, name)), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			for range 2 {
				require.Equal(t, string(want), output(t, name), "go test ./examples/beside -update writes it")
			}
		})
	}
}

func TestLinesHaveAtMost120Columns(t *testing.T) {
	for _, name := range articles {
		for i, text := range strings.Split(output(t, name), "\n") {
			assert.LessOrEqual(t, len([]rune(text)), 120, "%s, line %d: %s", name, i+1, text)
			assert.NotContains(t, text, "\t")
			assert.Equal(t, strings.TrimRight(text, " "), text, "%s, line %d", name, i+1)
		}
	}
}

// Each pair of the map stands in one row with the sign =, and only these do.
func TestEachPairOfTheMapIsARow(t *testing.T) {
	for _, name := range articles {
		t.Run(name, func(t *testing.T) {
			pairs, program, err := readMap(filepath.Join("..", name))
			require.NoError(t, err)
			for _, file := range cFiles(pairs) {
				rows, here := rowsOf(t, name, file, pairs, program)
				var joined []counterpart.Pair
				c := 0 // a second row for a line of C leaves its number out
				for _, r := range rows {
					if r.same && r.c.number > 0 {
						c = r.c.number
					}
					if r.same {
						joined = append(joined, counterpart.Pair{
							C: counterpart.Place{File: file, Line: c}, Go: counterpart.Place{Line: r.golang.number},
						})
					}
				}
				require.Len(t, joined, len(here))
				for i, p := range here {
					require.Equal(t, p.C, joined[i].C)
					require.Equal(t, p.Go.Line, joined[i].Go.Line)
				}
			}
		})
	}
}

// Each line of C below its #include lines stands in one row, in order.
func TestEachLineOfCIsARow(t *testing.T) {
	for _, name := range articles {
		pairs, program, err := readMap(filepath.Join("..", name))
		require.NoError(t, err)
		for _, file := range cFiles(pairs) {
			c, err := counterpart.ReadC(filepath.Join("..", name, file))
			require.NoError(t, err)
			rows, _ := rowsOf(t, name, file, pairs, program)
			next := start(c)
			for _, r := range rows {
				if r.c.number > 0 {
					require.Equal(t, next, r.c.number)
					require.Equal(t, c.Lines[next-1], r.c.text)
					next++
				}
			}
			require.Equal(t, len(c.Lines)+1, next, "%s/%s", name, file)
		}
	}
}

func rowsOf(t *testing.T, name, file string, all []counterpart.Pair, program *counterpart.Go) ([]row, []counterpart.Pair) {
	c, err := counterpart.ReadC(filepath.Join("..", name, file))
	require.NoError(t, err)
	pairs := pairsOf(file, all)
	return align(c, source{program, dividing(all, program)}, pairs), pairs
}

func TestWithoutANameItListsThem(t *testing.T) {
	for _, args := range [][]string{nil, {"-h"}, {"--help"}} {
		text := output(t, args...)
		require.Contains(t, text, "usage: beside NAME")
		for _, name := range articles {
			require.Contains(t, text, "\n    "+name+"\n")
		}
	}
}

func TestWrongArgumentsAreNamed(t *testing.T) {
	var out strings.Builder
	err := run([]string{"article-5"}, here(t), &out)
	require.ErrorIs(t, err, errUsage)
	require.ErrorContains(t, err, `"article-5"`)
	for _, name := range articles {
		require.ErrorContains(t, err, name)
	}
	err = run(articles, here(t), &out)
	require.ErrorIs(t, err, errUsage)
	require.ErrorContains(t, err, "4 names")
	require.Empty(t, out.String())
}

// Another module inside of the clone is in the clone.
func TestItRunsAnywhereInAClone(t *testing.T) {
	want := output(t, articles[0])
	for _, dir := range []string{"../..", "../../sysctl/procfs", "../step"} {
		abs, err := filepath.Abs(dir)
		require.NoError(t, err)
		var out strings.Builder
		require.NoError(t, run(articles[:1], abs, &out))
		require.Equal(t, want, out.String())
	}
}

func TestOutsideOfACloneItSaysSo(t *testing.T) {
	var out strings.Builder
	require.ErrorContains(t, run(articles[:1], t.TempDir(), &out), "not in a clone of github.com/kprim/kprim")
	other := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(other, "go.mod"), []byte("module example.com/other\n"), 0o644))
	require.ErrorContains(t, run(nil, other, &out), "not in a clone")
}

// A map that is wrong is an error, and names the article.
func TestAWrongMapIsAnError(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "examples", "a")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	readme := "\n" + counterpart.HeaderOfArticle + "| no link | `x` | no link |\n"
	require.NoError(t, os.WriteFile(filepath.Join(root, "go.mod"), []byte("module github.com/kprim/kprim\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README.md"), []byte(readme), 0o644))
	var out strings.Builder
	err := run([]string{"a"}, root, &out)
	require.ErrorContains(t, err, "a: ")
	require.ErrorContains(t, err, "is not a link")
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestAnOutputThatFailsIsAnError(t *testing.T) {
	require.ErrorIs(t, run(nil, here(t), brokenWriter{}), os.ErrClosed)
	require.ErrorIs(t, run(articles[:1], here(t), brokenWriter{}), os.ErrClosed)
}

func TestWrapBreaksAtBlanksAndIndents(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"short", []string{"short"}},
		{"", []string{""}},
		{"  one two three four five", []string{"  one two three four", "      five"}},
		{strings.Repeat("x", 45), []string{strings.Repeat("x", 20), "    " + strings.Repeat("x", 16), "    " + strings.Repeat("x", 9)}},
		{strings.Repeat("x", 20), []string{strings.Repeat("x", 20)}},
		{"  // one two three four", []string{"  // one two three", "  // four"}},
		{"  one() // two threes", []string{"  one()", "  // two threes"}},
		{"  one() // two three four five", []string{"  one()", "  // two three four", "  // five"}},
		{"// " + strings.Repeat("x", 20), []string{"// " + strings.Repeat("x", 17), "// xxx"}},
	} {
		require.Equal(t, c.want, wrap(c.text, 20), "%q", c.text)
	}
	// the indent of a text may leave no room for a word
	require.NotEmpty(t, wrap(strings.Repeat(" ", 30)+"word", 20))
}

// A block of Go stands once, though the map leads to it twice.
func TestNoBlockOfGoStandsTwice(t *testing.T) {
	for _, name := range articles {
		pairs, program, err := readMap(filepath.Join("..", name))
		require.NoError(t, err)
		for _, file := range cFiles(pairs) {
			rows, _ := rowsOf(t, name, file, pairs, program)
			seen := map[line]bool{}
			for _, r := range rows {
				if r.golang.number > 0 && !r.same {
					require.False(t, seen[r.golang], "%s: line %d", name, r.golang.number)
					seen[r.golang] = true
				}
			}
		}
	}
}

// Two rows of the map may have one line of C. The second one shows the Go alone.
func TestASecondRowForALineOfC(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nvar a int\n\nvar b int\n"), 0o644))
	program, err := counterpart.ReadGo(dir)
	require.NoError(t, err)
	c := counterpart.Place{File: "m.c", Line: 1}
	pairs := []counterpart.Pair{
		{C: c, Go: counterpart.Place{File: "main.go", Line: 3}}, {C: c, Go: counterpart.Place{File: "main.go", Line: 5}},
	}
	rows := align(counterpart.ParseC("int a, b;\nint c;\n"), source{program, dividing(pairs, program)}, pairs)
	var got []string
	for _, r := range rows {
		if r.same || r.c.number > 0 {
			got = append(got, fmt.Sprintf("%s=%s", r.c.text, r.golang.text))
		}
	}
	require.Equal(t, []string{"int a, b;=var a int", "=var b int", "int c;="}, got)
}

func TestBetweenKeepsTheTailUpAndTheHeadDown(t *testing.T) {
	text := func(lines ...string) (found []line) {
		for _, l := range lines {
			found = append(found, line{1, l})
		}
		return found
	}
	var got []string
	for _, r := range between(text("a", "", "b"), text("t"), text("h1", "h2", "h3")) {
		got = append(got, fmt.Sprintf("%s|%s", r.c.text, r.golang.text))
	}
	require.Equal(t, []string{"a|t", "|h1", "|h2", "b|h3"}, got)
}
