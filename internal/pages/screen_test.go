package pages_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// screen is how many lines a reader sees of go doc, before a key is pressed.
const screen = 24

// The first screen of go doc says when to use the package, and when to use something else.
// A page that is no longer than a screen needs no part for that.
func TestTheFirstScreenSaysWhichTool(t *testing.T) {
	seen := 0
	for _, dir := range packages(t) {
		page := goDoc(t, dir)
		if len(page) <= screen {
			continue
		}
		seen++
		begin := slices.Index(page[:screen], "# Which tool")
		require.Positive(t, begin, "%s: Which tool is not on the first screen", dir)
		rest := page[begin+2:]
		end := slices.IndexFunc(rest, func(line string) bool { return line == "" })
		require.LessOrEqual(t, begin+2+end, screen, "%s: the list below Which tool is cut", dir)
	}
	require.Greater(t, seen, 10)
}

// packages returns the directories of the packages that a program can import.
func packages(t *testing.T) (dirs []string) {
	t.Helper()
	goFiles(t, func(name string) {
		dir := filepath.Dir(name)
		switch {
		case isTest(name), slices.Contains(dirs, dir):
		case strings.Contains(dir, "examples"), strings.Contains(dir, "internal"), strings.Contains(dir, "readers"):
		case !strings.Contains(dir, "/cmd"):
			dirs = append(dirs, dir)
		}
	})
	return dirs
}

// goDoc returns the lines that go doc prints about a package, down to its names.
func goDoc(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(dir + "/*.go")
	require.NoError(t, err)
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		file, err := parser.ParseFile(fset, name, b, parser.ParseComments)
		require.NoError(t, err)
		files = append(files, file)
	}
	p, err := doc.NewFromFiles(fset, files, dir)
	require.NoError(t, err)
	text := "package " + p.Name + "\n\n" + string(p.Text(p.Doc))
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}
