package readmes_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/internal/readmes"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("runtime.handleEvent")) // of the runtime itself, on js
}

const table = "# p\n\n## You want, you write\n\n| You want | you write |\n|---|---|\n| a | `a()` |\n| b | `b()` |\n\n## More\n\n| c | `c()` |\n"

func wanted(page, tests string) (int, []string) {
	dir := fstest.MapFS{"README.md": {Data: []byte(page)}, "want_test.go": {Data: []byte(tests)}}
	return readmes.Wanted(dir, "want_test.go")
}

func TestWanted(t *testing.T) {
	rows, faults := wanted(table, "\ta()\nb()\n")
	require.Equal(t, 2, rows)
	require.Empty(t, faults)

	_, faults = wanted(table, "\ta()\n\tb() // not the whole line\n")
	require.Equal(t, []string{"want_test.go: no line b()"}, faults)

	rows, faults = wanted(strings.Replace(table, "`b()`", "b()", 1), "a()\n")
	require.Equal(t, 1, rows)
	require.Equal(t, []string{"README.md: 1 rows of the table have a line of code, out of 2"}, faults)

	_, faults = wanted("# p\n", "")
	require.Equal(t, []string{"README.md: no section You want, you write"}, faults)
}

func TestWantedNeedsItsFiles(t *testing.T) {
	_, faults := readmes.Wanted(fstest.MapFS{}, "want_test.go")
	require.Equal(t, []string{"open README.md: file does not exist"}, faults)
	_, faults = readmes.Wanted(fstest.MapFS{"README.md": {}}, "want_test.go")
	require.Equal(t, []string{"open want_test.go: file does not exist"}, faults)
}

func TestLong(t *testing.T) {
	five := strings.Repeat("text\n", 5)
	wide := strings.Repeat("x", 161)
	for name, c := range map[string]struct {
		page string
		long []string
	}{
		"five lines":          {five + "\n" + five, nil},
		"six lines":           {five + "sixth\n", []string{"sixth"}},
		"seven lines":         {five + "6\n7\n", []string{"6", "7"}},
		"list items":          {five + "- item\n" + five + "sixth", []string{"text", "sixth"}},
		"items with numbers":  {five + "1. item\n12. item\n", nil},
		"table after text":    {five + "| a |\n| b |\n" + five, nil},
		"code":                {"```\n" + five + five + wide + "\n```\n", nil},
		"a line of 160":       {wide[1:] + "\n", nil},
		"a wide line":         {wide + "\n", []string{wide}},
		"a wide row, the end": {"| " + wide, []string{"| " + wide}},
	} {
		require.Equal(t, c.long, readmes.Long(c.page), name)
	}
}
