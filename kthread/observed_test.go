//go:build !mutant

package kthread_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestObserved repeats scripts that ran in real kernels, on wait queues and threads.
// It compares the whole outcome: results, the order of wake functions, the entries of
// a queue, the state of each thread after each step, and the threads that hang for
// ever. It prints how many cases there were, each that differs, with the name of
// the difference, and each that cannot be done here.
//
//	go test ./kthread -run TestObserved -v
//
// KPRIM_OBSERVED names another directory with such files.
func TestObserved(t *testing.T) {
	const own = "testdata"
	dir := cmp.Or(os.Getenv("KPRIM_OBSERVED"), own)
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl*"))
	require.NoError(t, err)
	require.NotEmpty(t, names, "in %s", dir)
	kernels := map[string][]observedCase{}
	for _, name := range names {
		kernel, cases := readCases(t, name)
		kernels[kernel] = append(kernels[kernel], cases...)
	}
	versions := slices.SortedFunc(maps.Keys(kernels), compareVersions)
	for _, r := range translations {
		t.Logf("in all cases: %s: %s See %s.", r.name, r.reason, r.cites)
	}
	newest := byID(kernels[versions[len(versions)-1]])
	for i, version := range versions {
		t.Run(version, func(t *testing.T) {
			sum := testObserved(t, kernels[version], newest, i == len(versions)-1)
			if dir == own {
				sum.stated(t, version, len(kernels[version]))
			}
		})
	}
}

func byID(cases []observedCase) map[string]observedCase {
	all := map[string]observedCase{}
	for _, c := range cases {
		all[c.ID] = c
	}
	return all
}

func compareVersions(a, b string) int {
	var x, y [3]int
	_, _ = fmt.Sscanf(a, "%d.%d.%d", &x[0], &x[1], &x[2])
	_, _ = fmt.Sscanf(b, "%d.%d.%d", &y[0], &y[1], &y[2])
	return slices.Compare(x[:], y[:])
}

// A tally is the outcome of the cases of one kernel.
type tally struct {
	agreed, documented, open int
	newer                    int                 // held to the newest kernel
	left                     map[string][]string // the cases that cannot be done, by reason
	differ                   map[string][]string // the cases that differ, by rule
}

// testObserved runs the cases of a kernel. A case whose result is another one in the
// newest kernel is held to that: this library is a port of it.
func testObserved(t *testing.T, cases []observedCase, newest map[string]observedCase, isNewest bool) *tally {
	sum := &tally{left: map[string][]string{}, differ: map[string][]string{}}
	for _, c := range cases {
		newer, ok := newest[c.ID]
		switch {
		case !c.depends("version") || isNewest:
			sum.add(t, c)
		case ok:
			sum.newer++
			sum.add(t, newer)
		default:
			sum.leave(c, "a newer kernel has another result, and its file is not here")
		}
	}
	sum.print(t, len(cases))
	require.Zero(t, sum.open, "cases that differ, and no rule says why")
	return sum
}

func (sum *tally) print(t *testing.T, cases int) {
	left := 0
	for _, ids := range sum.left {
		left += len(ids)
	}
	t.Logf("%d cases: %d agree, %d differ as documented, %d cannot be done here, %d differ otherwise; %d are held to the newest kernel",
		cases, sum.agreed, sum.documented, left, sum.open, sum.newer)
	require.Equal(t, cases, sum.agreed+sum.documented+sum.open+left, "each case is counted once")
	for _, r := range differences {
		if ids := sum.differ[r.name]; ids != nil {
			t.Logf("%3d differ: %s: %s See %s. %s", len(ids), r.name, r.reason, r.cites, strings.Join(ids, " "))
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(sum.left)) {
		t.Logf("%3d cannot be done here: %s: %s", len(sum.left[reason]), reason, strings.Join(sum.left[reason], " "))
	}
}

func (sum *tally) leave(c observedCase, reason string) {
	sum.left[reason] = append(sum.left[reason], c.ID)
}

// add runs a case and counts it.
func (sum *tally) add(t *testing.T, c observedCase) {
	for _, op := range c.ops() {
		require.True(t, ops[op[0]] != nil || c.inapplicable() != "", "%s: no such op: %s", c.ID, op[0])
	}
	if reason := c.inapplicable(); reason != "" {
		sum.leave(c, reason)
		return
	}
	found := c.compare(c.run(t))
	unexplained, rules := found.explain()
	switch {
	case len(unexplained) > 0:
		sum.open++
		t.Errorf("%s, %s:\n  %s", c.ID, c.Note, strings.Join(unexplained, "\n  "))
	case len(rules) > 0:
		sum.documented++
		for name := range rules {
			sum.differ[name] = append(sum.differ[name], c.ID)
		}
	default:
		sum.agreed++
	}
}

// explain returns the mismatches that no rule names, and the rules of the others.
func (c *comparison) explain() (unexplained []string, rules map[string]bool) {
	rules = map[string]bool{}
	for _, m := range c.found {
		i := slices.IndexFunc(differences, func(r rule) bool { return r.holds(c, m) })
		if i < 0 || m.kind == "fault" {
			unexplained = append(unexplained, m.String())
			continue
		}
		rules[differences[i].name] = true
	}
	return unexplained, rules
}

// Each rule cites a Differs: line of a doc comment. So does each translation.
func TestObservedDifferencesAreDocumented(t *testing.T) {
	docs := map[string]string{}
	for _, dir := range []string{"../waitqueue", "."} {
		maps.Copy(docs, comments(t, dir))
	}
	for _, r := range slices.Concat(differences, translations) {
		assert.NotEmpty(t, r.reason, r.name)
		cited := slices.ContainsFunc(strings.Split(docs[r.cites], "\n"), func(line string) bool {
			return strings.HasPrefix(line, "Differs: ") && strings.Contains(line, r.line)
		})
		assert.True(t, cited, "%s: no Differs: line of %s has %q", r.name, r.cites, r.line)
	}
}

// comments returns the doc comments of the package in dir, by package.Symbol.
func comments(t *testing.T, dir string) map[string]string {
	pkg := parsed(t, dir)
	found := map[string]string{}
	for _, f := range pkg.Funcs {
		found[pkg.Name+"."+f.Name] = f.Doc
	}
	for _, typ := range pkg.Types {
		found[pkg.Name+"."+typ.Name] = typ.Doc
		for _, f := range typ.Funcs {
			found[pkg.Name+"."+f.Name] = f.Doc
		}
		for _, f := range typ.Methods {
			found[pkg.Name+"."+typ.Name+"."+f.Name] = f.Doc
		}
		for name, text := range fields(typ) {
			found[pkg.Name+"."+typ.Name+"."+name] = text
		}
	}
	return found
}

func parsed(t *testing.T, dir string) *doc.Package {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if !strings.HasSuffix(name, "_test.go") {
			f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
			require.NoError(t, err)
			files = append(files, f)
		}
	}
	pkg, err := doc.NewFromFiles(fset, files, dir)
	require.NoError(t, err)
	return pkg
}

// fields returns the comments of the fields of a struct.
func fields(typ *doc.Type) map[string]string {
	found := map[string]string{}
	for _, spec := range typ.Decl.Specs {
		s, ok := spec.(*ast.TypeSpec).Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, field := range s.Fields.List {
			for _, name := range field.Names {
				found[name.Name] = field.Doc.Text()
			}
		}
	}
	return found
}

// The READMEs have the figures of the project's own files.
func (sum tally) stated(t *testing.T, kernel string, cases int) {
	left := cases - sum.agreed - sum.documented - sum.open
	row := fmt.Sprintf("| %s | %d | %d | %d | %d |", kernel, cases, sum.agreed, sum.documented, left)
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	assert.Contains(t, string(text), row)
	text, err = os.ReadFile("../waitqueue/README.md")
	require.NoError(t, err)
	said := fmt.Sprintf("Of %d cases of each, %d agree, %d differ as documented, and %d cannot be done here", cases, sum.agreed, sum.documented, left)
	assert.Contains(t, strings.Join(strings.Fields(string(text)), " "), said)
}
