package counterpart_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/internal/counterpart"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPatternIgnoresWhiteSpaceAndKeepsWords(t *testing.T) {
	for _, c := range []struct {
		statement, text string
		want            bool
	}{
		{"up(&sem)", "\tup(&sem);", true},
		{"up(&sem)", "\twake_up(&sem);", false},
		{"if (signal_pending(current)) break", "if (signal_pending(current))\n\t\tbreak;", true},
		{"kthread_run(f, NULL, ...)", `kthread_run(f, NULL, "name");`, true},
		{"kthread_run(f, NULL, ...)", `kthread_run(f, NULL, ...)`, true},
		{"kthread_run(f, ...)", "kthread_run(f, x; y)", false},
		{"lock", "unlock", false},
		{"int id", "intid", false},
	} {
		require.Equal(t, c.want, counterpart.Pattern(c.statement).MatchString(c.text), "%q in %q", c.statement, c.text)
	}
}

const module = `// a comment with schedule() in it
static int table[] = {
	.mode = 0644,
};

static int event;

static int
waiter(void *unused)
{
	/* schedule() */
	read_lock(&l);
	id = event;
	read_unlock(&l);
	schedule();
	return 0; // up(&x)
}

int poster(void)
{
	read_lock(&l);
	schedule();
	return 0;
}
`

func TestFindGivesTheLinesOfStatementsOutsideOfComments(t *testing.T) {
	c := counterpart.ParseC(module)
	require.Equal(t, []int{15, 22}, c.Find([]string{"schedule()"}))
	require.Empty(t, c.Find([]string{"up(&x)"}))
	require.Equal(t, []int{12}, c.Find([]string{"read_lock", "id = event", "read_unlock"}))
}

// The statements of a row follow each other in one function.
func TestFindKeepsTheOrderAndTheFunction(t *testing.T) {
	c := counterpart.ParseC(module)
	require.Empty(t, c.Find([]string{"read_unlock", "read_lock"}))
	require.Empty(t, c.Find([]string{"read_lock", "read_unlock", "id = event"}))
	require.Empty(t, c.Find([]string{"static int event", "return 0"}))
}

func TestBlockNamesTheFunctionOrTheVariable(t *testing.T) {
	c := counterpart.ParseC(module)
	for line, want := range map[int]string{1: "", 3: "table", 6: "", 8: "waiter", 15: "waiter", 17: "waiter", 18: "", 19: "poster", 22: "poster"} {
		name, function := c.Block(line)
		require.Equal(t, want, name, "line %d", line)
		require.Equal(t, want == "waiter" || want == "poster", function, "line %d", line)
	}
}

const program = `package main

// static int event
var event int

// wait is waiter.
func wait() {
	// schedule()
	sleep()
	lock() // read_lock
}

// post is poster. It does more.
func post() {
	lock() // read_lock, schedule()
}

// A mode.
func mode() int { // table
	return 0644 // .mode = 0644
}
`

// folder has a program and a module.
func folder(t *testing.T, text string) (string, *counterpart.Go) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "linux"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "linux", "m.c"), []byte(module), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(text), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main_test.go"), []byte(text), 0o644))
	program, err := counterpart.ReadGo(dir)
	require.NoError(t, err)
	return dir, program
}

func row(t *testing.T, text string) counterpart.Row {
	rows, err := counterpart.Rows("\n"+counterpart.HeaderOfArticle+text+"\n\nmore\n", counterpart.HeaderOfArticle)
	require.NoError(t, err)
	require.Len(t, rows, 1)
	return rows[0]
}

// A place in a function of Go is the counterpart only if its doc comment names
// the function of C.
func TestPairChoosesTheFunction(t *testing.T) {
	dir, program := folder(t, program)
	for text, want := range map[string]string{
		"| [m.c:9](linux/m.c#L9) | `static int event` | |":          "6 4",
		"| [m.c:15](linux/m.c#L15) | `schedule()` | [x](x) |":       "15 9",
		"| [m.c:22](linux/m.c#L22) | `schedule()` | [x](x) |":       "22 15",
		"| [m.c:1](linux/m.c#L1) | `read_lock`, `schedule()` | x |": "21 15",
	} {
		pair, err := row(t, text).Pair(dir, program)
		require.NoError(t, err, text)
		c := counterpart.Place{File: "linux/m.c", Line: pair.C.Line}
		require.Equal(t, c, pair.C)
		require.Equal(t, want, pair.C.String()[len("m.c:"):]+" "+pair.Go.String()[len("main.go:"):], text)
	}
}

func TestPairSaysWhyThereIsNone(t *testing.T) {
	dir, program := folder(t, program)
	for text, want := range map[string]string{
		"| `waiter` | `schedule()` | x |":                "is not a link like",
		"| [m.c:9](linux/m.c#L8) | `schedule()` | x |":   "is not a link like",
		"| [m.c:9](linux/n.c#L9) | `schedule()` | x |":   "is not a link like",
		"| [n.c:9](linux/n.c#L9) | `schedule()` | x |":   "no such file",
		"| [m.c:9](linux/m.c#L9) | `sleep_on(&q)` | x |": "no line of linux/m.c begins",
		"| [m.c:9](linux/m.c#L9) | `schedule()` | x |":   "name one of these lines",
		"| [m.c:9](linux/m.c#L9) | `id = event` | x |":   `stands for "waiter" has`,
		"| [m.c:9](linux/m.c#L9) | `.mode = 0644` | x |": `stands for "table" has`,
	} {
		_, err := row(t, text).Pair(dir, program)
		require.ErrorContains(t, err, want, text)
	}
}

func TestPairFailsForTwoLinesOfGo(t *testing.T) {
	dir, program := folder(t, program+"\n// again is waiter.\nfunc again() {\n\tsleep() // schedule()\n}\n")
	_, err := row(t, "| [m.c:15](linux/m.c#L15) | `schedule()` | x |").Pair(dir, program)
	require.ErrorContains(t, err, "more than one line of Go")
}

// The braces of a variable may stand for a declaration, and for a function.
func TestPairOfAVariable(t *testing.T) {
	for _, addition := range []string{
		"\n// mode of the file: .mode = 0644\nconst theMode = 0644\n",
		"\n// theMode is of table.\nfunc theMode() int {\n\treturn 0644 // .mode = 0644\n}\n",
	} {
		dir, program := folder(t, program+addition)
		pair, err := row(t, "| [m.c:3](linux/m.c#L3) | `.mode = 0644` | x |").Pair(dir, program)
		require.NoError(t, err)
		require.Equal(t, 3, pair.C.Line)
	}
}

func TestRowsWantTheirForm(t *testing.T) {
	_, err := counterpart.Rows("text", counterpart.HeaderOfArticle)
	require.ErrorContains(t, err, "no map with the header")
	_, err = counterpart.Rows("\n"+counterpart.HeaderOfArticle+"| a | b | c |\n\n", counterpart.HeaderOfArticle)
	require.ErrorContains(t, err, "a row of another form")
}

func TestWithWritesBothNumbers(t *testing.T) {
	r := row(t, "| [m.c:9](linux/m.c#L9) | `a`, `b \\| c` | [main.go:1](main.go#L1) |")
	require.Equal(t, []string{"a", "b | c"}, r.Statements)
	c, line := counterpart.Place{File: "linux/m.c", Line: 7}, counterpart.Place{File: "main.go", Line: 8}
	require.Equal(t, "| [m.c:7](linux/m.c#L7) | `a`, `b \\| c` | [main.go:8](main.go#L8) |", r.With(c.Link(), line.Link()))
}
