package pages_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hearts are the files that a reader of a package opens first.
var hearts = []string{
	"waitqueue/waitqueue.go",
	"kthread/kthread.go",
	"rwevent/rwevent.go",
	"usermodehelper/usermodehelper.go",
	"sysctl/sysctl.go",
}

// The heart of each package begins with a life: its steps in their order, each with a
// function of the package.
func TestTheHeartOfAPackageBeginsWithALife(t *testing.T) {
	step := regexp.MustCompile(`(?m)^\t(\S+) {2,}\S`)
	for _, heart := range hearts {
		steps := step.FindAllStringSubmatch(life(t, heart), -1)
		require.GreaterOrEqual(t, len(steps), 6, heart)
		names := functionsOfPackage(t, filepath.Dir(heart))
		for _, m := range steps {
			require.True(t, slices.Contains(names, m[1]), "%s: the package has no function %s", heart, m[1])
		}
	}
}

// life returns the first comment of a file after its imports.
func life(t *testing.T, name string) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "", text(t, name), parser.ParseComments)
	require.NoError(t, err)
	imports := file.Decls[0].End()
	i := slices.IndexFunc(file.Comments, func(c *ast.CommentGroup) bool { return c.Pos() > imports })
	require.GreaterOrEqual(t, i, 0, name)
	comment := file.Comments[i].Text()
	require.True(t, strings.HasPrefix(comment, "The life of "), "%s: it begins with %.40q", name, comment)
	return comment
}

func functionsOfPackage(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := filepath.Glob("../../" + dir + "/*.go")
	require.NoError(t, err)
	for _, name := range files {
		if !strings.HasSuffix(name, "_test.go") {
			names = append(names, functions(t, filepath.ToSlash(name)[len("../../"):])...)
		}
	}
	return names
}
