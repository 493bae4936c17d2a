package examples_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/examples/internal/counterpart"
)

// Each row of a map leads to a line of C, or names a function of the kernel. It
// leads to the line of Go that says the same.
func TestEachMapIsTrue(t *testing.T) {
	eachProgram(t, func(t *testing.T, dir, readme string) {
		heading := header(dir)
		rows, err := counterpart.Rows(readme, heading)
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(rows), 3)
		program, err := counterpart.ReadGo(dir)
		require.NoError(t, err)
		for _, r := range rows {
			c, line, err := cells(dir, heading, r, program)
			require.NoError(t, err, "%s/README.md", dir)
			if *update {
				readme = strings.Replace(readme, r.Text, r.With(c, line), 1)
			} else {
				require.Equal(t, r.Text, r.With(c, line), "go test ./examples -run EachMap -update writes the numbers")
			}
		}
		if *update {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "README.md"), []byte(readme), 0o644))
		}
	})
}

// cells returns the first and the last cell that a row has to have.
func cells(dir, heading string, r counterpart.Row, program *counterpart.Go) (c, line string, err error) {
	if heading == counterpart.HeaderOfArticle {
		pair, err := r.Pair(dir, program)
		return pair.C.Link(), pair.Go.Link(), err
	}
	found := program.Find(strings.Trim(r.C, "`-"), r.Statements)
	if len(found) != 1 {
		return "", "", fmt.Errorf("places of %q in %s: %v", r.Statements, r.C, found)
	}
	return r.C, found[0].Link(), nil
}

// The C of an article is ours, and free for every use. The page of a kernel's
// output says which kernel printed it.
func TestEachArticleHasItsModule(t *testing.T) {
	eachArticle(t, func(t *testing.T, dir, _ string) {
		files, err := filepath.Glob(dir + "/linux/*.c")
		require.NoError(t, err)
		require.NotEmpty(t, files, "%s/linux has no module", dir)
		kbuild := read(t, dir, "linux", "Kbuild")
		for _, file := range files {
			text := read(t, file)
			require.True(t, strings.HasPrefix(text, "// SPDX-License-Identifier: MIT\n"), "%s: its first line", file)
			if strings.Contains(text, "MODULE_LICENSE") { // and is not a program
				require.Contains(t, text, `MODULE_LICENSE("Dual MIT/GPL")`, file)
				object := strings.TrimSuffix(filepath.Base(file), ".c") + ".o"
				require.Regexp(t, `obj-m .*\b`+regexp.QuoteMeta(object)+`\b`, kbuild, "%s/linux/Kbuild", dir)
			}
			requireColumns(t, file, text)
		}
		require.Regexp(t, `(?i)(linux|kernel) [0-9]+\.[0-9]+`, read(t, dir, "linux", "printed.txt"), "the version of the kernel")
	})
}
