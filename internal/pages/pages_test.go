// Package pages_test holds the pages in .github to the code.
package pages_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("runtime.handleEvent")) // of the runtime itself, on js
}

// A text of a file of the repository.
func text(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../" + name)
	require.NoError(t, err)
	return string(b)
}

// section returns the part of a page below a heading.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	_, after, found := strings.Cut(text(t, page), "\n## "+heading+"\n")
	require.True(t, found, "%s: no heading %s", page, heading)
	before, _, _ := strings.Cut(after, "\n## ")
	return before
}

// goFiles calls f with each Go file of the repository.
func goFiles(t *testing.T, f func(name string)) {
	t.Helper()
	require.NoError(t, filepath.WalkDir("../..", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2):
			return filepath.SkipDir
		case filepath.Ext(name) == ".go":
			f(filepath.ToSlash(name))
		}
		return nil
	}))
}

// Each line of the map of the house is a file and a function in it.
func TestTheMapOfTheHouse(t *testing.T) {
	line := regexp.MustCompile(`(?m)^(\S+\.go) +(\S+) `)
	lines := line.FindAllStringSubmatch(section(t, ".github/CONTRIBUTING.md", "The map of the house"), -1)
	require.Greater(t, len(lines), 20)
	for _, m := range lines {
		require.Contains(t, functions(t, m[1]), m[2], m[1])
	}
}

// functions returns the names of the functions in a file, with their types in front.
func functions(t *testing.T, name string) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "", text(t, name), parser.SkipObjectResolution)
	require.NoError(t, err)
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		switch {
		case ok && f.Recv == nil:
			names = append(names, f.Name.Name)
		case ok:
			names = append(names, receiver(f.Recv.List[0].Type)+"."+f.Name.Name)
		}
	}
	return names
}

// receiver returns the name of a receiver's type.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	}
	return e.(*ast.Ident).Name
}

// Each flag of the tests has its row, and each row has its flag.
func TestTheFlagsOfTheTests(t *testing.T) {
	rows := section(t, ".github/CONTRIBUTING.md", "The flags of the tests")
	inPage := map[string]bool{}
	for _, m := range regexp.MustCompile("`-([a-z.]+)`").FindAllStringSubmatch(rows, -1) {
		inPage[m[1]] = true
	}
	inCode := map[string]bool{}
	flags := regexp.MustCompile(`= flag\.(?:Bool|Int)\("([^"]+)"`)
	ofExplore := regexp.MustCompile(`"(explore\.[a-z]+)"`)
	goFiles(t, func(name string) {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		if isTest(name) {
			for _, m := range flags.FindAllStringSubmatch(string(b), -1) {
				inCode[m[1]] = true
			}
		}
	})
	for _, m := range ofExplore.FindAllStringSubmatch(text(t, "waitqueue/explore/flags.go"), -1) {
		inCode[m[1]] = true
	}
	require.Equal(t, inCode, inPage)
}

// isTest reports whether a file is a part of tests, as the packages in internal are. The
// commands in internal are none.
func isTest(name string) bool {
	return strings.HasSuffix(name, "_test.go") || strings.Contains(name, "internal/") && !strings.HasSuffix(name, "/main.go")
}

// Each environment variable of the tests is on the page.
func TestTheVariablesOfTheTests(t *testing.T) {
	page := section(t, ".github/CONTRIBUTING.md", "The flags of the tests")
	variable := regexp.MustCompile(`"(REQUIRE_[A-Z_]+|KPRIM_OBSERVED)"`)
	goFiles(t, func(name string) {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, m := range variable.FindAllStringSubmatch(string(b), -1) {
			require.Contains(t, page, "`"+m[1]+"`", name)
		}
	})
}

// Each package that a program can import has a promise, and a part in the CHANGELOG.
func TestEachPackageHasAPromiseAndAPart(t *testing.T) {
	promises := map[string]bool{}
	rows := section(t, ".github/RELEASING.md", "What a version promises")
	for _, m := range regexp.MustCompile(`(?m)^\| ([^|]+) \| `).FindAllStringSubmatch(rows, -1) {
		for name := range strings.SplitSeq(m[1], ", ") {
			promises[name] = true
		}
	}
	log := text(t, ".github/CHANGELOG.md")
	for name := range importable(t) {
		require.True(t, promises[name] || promises["all of examples"] && strings.HasPrefix(name, "examples/"), name)
		if !strings.HasPrefix(name, "examples/") {
			require.True(t, strings.Contains(log, "\n### "+name+"\n"), "CHANGELOG.md: no part %s", name)
		}
	}
	for name := range promises {
		if strings.Contains(name, "/") {
			require.DirExists(t, "../../"+name)
		}
	}
}

// importable returns the packages that a program outside of the repository can import.
func importable(t *testing.T) map[string]bool {
	t.Helper()
	packages := map[string]bool{}
	goFiles(t, func(name string) {
		dir := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(name)), "../../")
		if strings.HasSuffix(name, "_test.go") || strings.Contains("/"+dir+"/", "/internal/") {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.PackageClauseOnly)
		require.NoError(t, err)
		if file.Name.Name != "main" {
			packages[dir] = true
		}
	})
	return packages
}

// Each file that a page names is there.
func TestFilesOfThePages(t *testing.T) {
	file := regexp.MustCompile(`[\w./-]+/[\w-]+\.go\b|\.ci/[a-z]+|\]\((\.\./)?([\w./-]+)\)`)
	for _, page := range []string{"CONTRIBUTING.md", "RELEASING.md"} {
		for _, m := range file.FindAllStringSubmatch(text(t, ".github/"+page), -1) {
			switch {
			case m[2] == "":
				require.FileExists(t, "../../"+m[0], page)
			case m[1] == "":
				require.FileExists(t, "../../.github/"+m[2], page)
			default:
				require.FileExists(t, "../../"+m[2], page)
			}
		}
	}
}

// A page is short, and its rows and lines can be read in a terminal.
func TestPagesAreShort(t *testing.T) {
	for page, most := range map[string]int{"CONTRIBUTING.md": 200, "RELEASING.md": 120} {
		lines := strings.Split(text(t, ".github/"+page), "\n")
		require.LessOrEqual(t, len(lines), most, page)
		for _, line := range lines {
			require.LessOrEqual(t, len(line), 160, "%s: %s", page, line)
		}
	}
}

// A file of tests has one subject, so it is short. The examples have limits of their own.
func TestFilesOfTestsAreShort(t *testing.T) {
	goFiles(t, func(name string) {
		if strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, "../../examples/") {
			lines := strings.Count(text(t, strings.TrimPrefix(name, "../../")), "\n")
			require.LessOrEqual(t, lines, 600, name)
		}
	})
}
