// Package examples_test holds the README and the doc comments to the code.
package examples_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var packages = []string{"waitqueue", "kthread", "rwevent", "usermodehelper", "sysctl"}

func readme(t *testing.T) string {
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	return string(text)
}

// block returns the README's code block in the language lang.
func block(t *testing.T, lang string) string {
	m := regexp.MustCompile("(?s)```" + lang + "\n(.*?)```").FindStringSubmatch(readme(t))
	require.NotNil(t, m)
	return m[1]
}

func TestReadmeProgramDoesWhatTheReadmeSays(t *testing.T) {
	program := block(t, "go")
	lines := 0
	for line := range strings.Lines(program) {
		if strings.TrimSpace(line) != "" {
			lines++
		}
	}
	require.Equal(t, 12, lines)

	file := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(file, []byte(program), 0o600))
	vet, err := exec.Command("go", "vet", file).CombinedOutput()
	require.NoError(t, err, "%s", vet)
	out, err := exec.Command("go", "run", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, readme(t), "prints `"+strings.TrimSpace(string(out))+"`")
}

func TestReadmeHasItsTwoCommandsAndItsLength(t *testing.T) {
	require.Equal(t, "go run ./examples/monitor-and-helper\ngo test ./...\n", block(t, "sh"))
	lines := strings.Count(readme(t), "\n")
	require.GreaterOrEqual(t, lines, 80)
	require.LessOrEqual(t, lines, 120)
}

// Each row of the README's table names something that is there, whose doc
// comment has the row's kernel names in its Kernel: line.
func TestReadmeTableAgreesWithTheDocComments(t *testing.T) {
	docs := documented(t)
	rows := regexp.MustCompile("(?m)^\\| (`.*`) \\| `([a-z]+\\.[A-Za-z0-9.]+)` \\|$").FindAllStringSubmatch(readme(t), -1)
	_, table, _ := strings.Cut(readme(t), "\n| kernel | Go |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	require.Len(t, rows, strings.Count(table, "\n")+1, "a row that is not of the form `kernel`, ... | `Go`")
	for _, row := range rows {
		requireKernelNames(t, docs, row[2], row[1])
	}
}

// The table of a package's README has three columns. A row that has no name of
// ours says why, and one that differs says how.
func TestTablesOfThePackagesAgreeWithTheDocComments(t *testing.T) {
	docs := documented(t)
	names := regexp.MustCompile("^`[a-z]+\\.[A-Za-z0-9.]+`$")
	for _, name := range packages {
		text := packageReadme(t, name)
		require.LessOrEqual(t, strings.Count(text, "\n"), 150)
		_, table, found := strings.Cut(text, "\n| kernel | Go | |\n|---|---|---|\n")
		require.True(t, found, name)
		table, _, _ = strings.Cut(table, "\n\n")
		for line := range strings.Lines(table) {
			cells := strings.Split(strings.Trim(line, "| \n"), " | ")
			require.Len(t, cells, 3, line)
			if cells[1] == "-" {
				require.Regexp(t, `^none: .`, cells[2], line)
				continue
			}
			require.Regexp(t, names, cells[1], line)
			require.Regexp(t, `^(same|differs: .+)$`, cells[2], line)
			requireKernelNames(t, docs, strings.Trim(cells[1], "`"), cells[0])
		}
	}
}

func packageReadme(t *testing.T, name string) string {
	text, err := os.ReadFile("../" + name + "/README.md")
	require.NoError(t, err)
	return string(text)
}

// The other way: who looks for a kernel name that a doc comment claims finds it
// in the README, or in that of the package, in a row that has a Go name.
func TestKernelNamesOfTheDocCommentsAreInATable(t *testing.T) {
	inRows := regexp.MustCompile("(?m)^\\| (`.*`) \\| `[a-z]+\\.[A-Za-z0-9.]+` \\|")
	for _, name := range packages {
		known := map[string]bool{}
		for _, row := range inRows.FindAllStringSubmatch(readme(t)+packageReadme(t, name), -1) {
			for _, n := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
				known[n[1]] = true
			}
		}
		for symbol, comment := range symbols(t, name) {
			if strings.HasPrefix(symbol, "package ") {
				continue // that names files
			}
			for _, n := range kernelNames(comment) {
				assert.True(t, known[n], "%s.%s has %s in its Kernel: line, which is in no table", name, symbol, n)
			}
		}
	}
}

// kernelNames returns the names of a Kernel: line, but not its prose.
func kernelNames(comment string) (names []string) {
	_, line, _ := strings.Cut("\n"+comment, "\nKernel: ")
	line, _, _ = strings.Cut(line, "\n\n")
	for part := range strings.SplitSeq(strings.ReplaceAll(line, "\n", " "), ",") {
		if name := strings.TrimSpace(part); regexp.MustCompile(`^(struct |enum )?\w+$`).MatchString(name) {
			names = append(names, name)
		}
	}
	return names
}

// documented returns the doc comments of all packages, by package.Symbol.
func documented(t *testing.T) map[string]string {
	docs := map[string]string{}
	for _, name := range packages {
		for symbol, comment := range symbols(t, name) {
			docs[name+"."+symbol] = comment
		}
	}
	return docs
}

// requireKernelNames requires that symbol is there, and that its Kernel: line
// has all names that the cell of a table has, each in backquotes.
func requireKernelNames(t *testing.T, docs map[string]string, symbol, cell string) {
	comment, ok := docs[symbol]
	require.True(t, ok, "%s does not exist", symbol)
	names := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1)
	require.NotEmpty(t, names, cell)
	for _, name := range names {
		word := regexp.MustCompile(`(?m)^Kernel: (.*[ (])?` + regexp.QuoteMeta(name[1]) + `\b`)
		require.Regexp(t, word, comment, "%s has no %s in its Kernel: line", symbol, name[1])
	}
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	for _, name := range packages {
		found := symbols(t, name)
		require.NotEmpty(t, found)
		for symbol, comment := range found {
			require.NotEmpty(t, strings.TrimSpace(comment), "%s.%s", name, symbol)
		}
	}
}

// symbols returns the doc comments of a package's exported names. Methods are
// named Type.Method, fields Type.Field.
func symbols(t *testing.T, name string) map[string]string {
	fset := token.NewFileSet()
	names, err := filepath.Glob("../" + name + "/*.go")
	require.NoError(t, err)
	var files []*ast.File
	for _, file := range names {
		if !strings.HasSuffix(file, "_test.go") {
			f, err := parser.ParseFile(fset, file, nil, parser.ParseComments)
			require.NoError(t, err)
			files = append(files, f)
		}
	}
	pkg, err := doc.NewFromFiles(fset, files, name)
	require.NoError(t, err)
	found := map[string]string{"package " + name: pkg.Doc}
	functions := func(prefix string, list []*doc.Func) {
		for _, f := range list {
			found[prefix+f.Name] = f.Doc
		}
	}
	values := func(list []*doc.Value) {
		for _, v := range list {
			for _, spec := range v.Decl.Specs {
				spec := spec.(*ast.ValueSpec)
				for _, ident := range spec.Names {
					if ident.IsExported() {
						found[ident.Name] = v.Doc + spec.Doc.Text() + spec.Comment.Text()
					}
				}
			}
		}
	}
	functions("", pkg.Funcs)
	values(append(pkg.Consts, pkg.Vars...))
	for _, typ := range pkg.Types {
		found[typ.Name] = typ.Doc
		functions("", typ.Funcs)
		functions(typ.Name+".", typ.Methods)
		values(append(typ.Consts, typ.Vars...))
		if s, ok := typ.Decl.Specs[0].(*ast.TypeSpec).Type.(*ast.StructType); ok {
			fields(typ.Name+".", s, found)
		}
	}
	return found
}

func fields(prefix string, s *ast.StructType, found map[string]string) {
	for _, field := range s.Fields.List {
		for _, ident := range field.Names {
			if ident.IsExported() {
				found[prefix+ident.Name] = field.Doc.Text() + field.Comment.Text()
			}
		}
	}
}
