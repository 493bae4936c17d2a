// Package examples_test holds the README and the doc comments to the code.
package examples_test

import (
	"context"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/waitqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var packages = []string{
	"waitqueue", "kthread", "rwevent", "usermodehelper", "sysctl", "sysctl/vfs", "sysctl/procfs",
}

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

// The table in the README of a package has three columns. A row without a Go
// name gives the reason. A row with a Go name says "same", or how the two differ.
func TestTablesOfThePackagesAgreeWithTheDocComments(t *testing.T) {
	docs := documented(t)
	names := regexp.MustCompile("^`[a-z]+\\.[A-Za-z0-9.]+`$")
	for _, name := range packages {
		for _, cells := range kernelTable(t, name) {
			if cells[1] == "-" {
				require.Regexp(t, `^none: .`, cells[2], cells)
				continue
			}
			require.Regexp(t, names, cells[1])
			require.Regexp(t, `^(same|differs: .+)$`, cells[2], cells)
			requireKernelNames(t, docs, strings.Trim(cells[1], "`"), cells[0])
		}
	}
}

// A row says "differs" if a Differs: line of the doc comment is about its names,
// and only then.
func TestRowsDifferWhereTheDocCommentsDiffer(t *testing.T) {
	docs := documented(t)
	for _, name := range packages {
		for _, cells := range kernelTable(t, name) {
			symbol := strings.Trim(cells[1], "`")
			explained := differs(docs[symbol], statements(cells[0]))
			switch {
			case explained && cells[2] == "same":
				t.Errorf("%s: the doc comment differs for %s, but its row says same", symbol, cells[0])
			case !explained && strings.HasPrefix(cells[2], "differs"):
				t.Errorf("%s: the row of %s differs, but the doc comment does not say so", symbol, cells[0])
			}
		}
	}
}

// kernelTable returns the cells of the rows of a package's table.
func kernelTable(t *testing.T, name string) (rows [][]string) {
	text := packageReadme(t, name)
	require.LessOrEqual(t, strings.Count(text, "\n"), 150)
	_, section, found := strings.Cut(text, "\n## The kernel's calls\n")
	require.True(t, found, name)
	_, table, found := strings.Cut(section, "\n| kernel | Go | |\n|---|---|---|\n")
	require.True(t, found, name)
	table, _, _ = strings.Cut(table, "\n\n")
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		require.Len(t, cells, 3, line)
		rows = append(rows, cells)
	}
	return rows
}

func packageReadme(t *testing.T, name string) string {
	text, err := os.ReadFile("../" + name + "/README.md")
	require.NoError(t, err)
	return string(text)
}

// differs reports whether a Differs: line of the doc comment is about a row with
// these kernel names. A line that begins with kernel names is about those only.
func differs(comment string, names []string) bool {
	for _, line := range strings.Split("\n"+comment, "\nDiffers: ")[1:] {
		about := leadingNames(line, kernelNames(comment))
		if about == nil || slices.ContainsFunc(about, func(n string) bool { return slices.Contains(names, n) }) {
			return true
		}
	}
	return false
}

// leadingNames returns the words that the line begins with, as far as they are
// among names.
func leadingNames(line string, names []string) (found []string) {
	for word := range strings.FieldsSeq(line) {
		word = strings.TrimRight(word, ",:")
		if !slices.Contains(names, word) {
			break
		}
		found = append(found, word)
	}
	return found
}

// A reader who looks for a kernel name of a doc comment finds it in the table of
// that package, in a row that has a Go name.
func TestKernelNamesOfTheDocCommentsAreInATable(t *testing.T) {
	for _, name := range packages {
		known := map[string]bool{}
		for _, cells := range kernelTable(t, name) {
			for _, n := range statements(cells[0]) {
				known[n] = known[n] || cells[1] != "-"
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
			docs[path.Base(name)+"."+symbol] = comment
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
// named Type.Method, fields Type.Field. A file for other systems repeats names.
func symbols(t *testing.T, name string) map[string]string {
	fset := token.NewFileSet()
	names, err := filepath.Glob("../" + name + "/*.go")
	require.NoError(t, err)
	var files []*ast.File
	for _, file := range names {
		if !strings.HasSuffix(file, "_test.go") && !strings.HasSuffix(file, "_other.go") {
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
