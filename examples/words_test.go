package examples_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A habit is a shape of sentence that slows a reader down.
type habit struct {
	name string
	in   func(sentence) int               // how often the sentence has it
	rate func(count int, p prose) float64 // the count in relation to the prose
}

// The habits, in the order of the columns of limits. The second one counts before
// a noun too, because only a grammar could tell the two uses apart.
var habits = [...]habit{
	{"who", matches(`who|whoever|whom`), perThousandWords},
	{"what", matches(`what|whatever`), perThousandWords},
	{"those of", matches(`(those|that) of`), perThousandWords},
	{"long", long, percentOfSentences},
}

// limits are the highest rates that the text of a package may have, in the order
// of habits. The first three are per 1,000 words, and the last is a percentage of
// the sentences. A rewritten package gets lower limits.
var limits = map[string][len(habits)]float64{
	"waitqueue":         {0, 0, 0, 0},
	"waitqueue/explore": {0, 0, 0, 0},
	"kthread":           {0, 0, 0, 0},
	"rwevent":           {0, 0, 0, 0},
	"usermodehelper":    {0, 0, 0, 0},
	"sysctl":            {0, 0, 0, 0},
	"sysctl/vfs":        {0, 0, 0, 0},
	"sysctl/procfs":     {0, 0, 0, 0},
	"sysctl/sysctlhttp": {0, 0, 0, 0},

	"kthread/printk":        {0, 0, 0, 0},
	"kthread/trace":         {0, 0, 0, 0},
	"kthread/trace/picture": {0, 0, 0, 0},

	"examples": {0, 0, 0, 0},
}

// worded are the packages that have limits. A small tool is part of the package above it.
var worded = slices.Concat(packages, tools[:2], []string{"kthread/printk", "kthread/trace", "kthread/trace/picture", "examples"})

// TestWords counts habits in the comments of the packages, their READMEs and other pages. It prints the
// rates, and the places of the first sentences of each habit that is too
// frequent.
//
//	go test ./examples -run Words -v
func TestWords(t *testing.T) {
	t.Logf("%-21s %6s %9s %5s %5s %8s %6s", "package", "words", "sentences", "who", "what", "those of", "long")
	var all prose
	for _, name := range worded {
		p := append(proseOf(t, name), readmeProse(t, name)...)
		require.Greater(t, p.words(), 500, "%s has hardly a comment", name)
		t.Log(p.row(name))
		for i, h := range habits {
			rate, limit := h.rate(p.count(h), p), limits[name][i]
			assert.LessOrEqualf(t, rate, limit, "%s: %q has %.2f, at most %.2f, as in\n%s", name, h.name, rate, limit, p.places(h))
		}
		all = append(all, p...)
	}
	t.Log(all.row("all"))
}

// Prose is all sentences of a package's comments.
type prose []sentence

// A sentence has the words from one full stop to the next. A heading, a list
// item and a remark beside code are sentences too.
type sentence struct {
	place string // file:line of its first word
	words []string
}

func (s sentence) String() string { return strings.Join(s.words, " ") }

// matches returns a count of the whole words that match the pattern.
func matches(pattern string) func(sentence) int {
	word := regexp.MustCompile(`(?i)\b(` + pattern + `)\b`)
	return func(s sentence) int { return len(word.FindAllString(s.String(), -1)) }
}

// long counts 1 for a sentence of more than 35 words.
func long(s sentence) int {
	if len(s.words) > 35 {
		return 1
	}
	return 0
}

func perThousandWords(count int, p prose) float64 { return 1000 * float64(count) / float64(p.words()) }

func percentOfSentences(count int, p prose) float64 { return 100 * float64(count) / float64(len(p)) }

func (p prose) words() (n int) {
	for _, s := range p {
		n += len(s.words)
	}
	return n
}

func (p prose) count(h habit) (n int) {
	for _, s := range p {
		n += h.in(s)
	}
	return n
}

// row returns the line of the printed table for a package.
func (p prose) row(name string) string {
	var rates [len(habits)]any
	for i, h := range habits {
		rates[i] = h.rate(p.count(h), p)
	}
	return fmt.Sprintf("%-21s %6d %9d ", name, p.words(), len(p)) + fmt.Sprintf("%5.2f %5.2f %8.2f %5.2f%%", rates[:]...)
}

// places lists the first ten sentences that have the habit.
func (p prose) places(h habit) string {
	var found []string
	for _, s := range p {
		if h.in(s) > 0 && len(found) < 10 {
			found = append(found, s.place+": "+s.String())
		}
	}
	return strings.Join(found, "\n")
}

// proseOf reads the comments of a package and of the packages below it that have no row
// of their own: doc comments and others, also in tests and Examples.
func proseOf(t *testing.T, name string) (p prose) {
	for _, path := range filesBelow(t, name) {
		switch filepath.Ext(path) {
		case ".go":
			p = append(p, goProse(t, path)...)
		case ".c":
			p = append(p, cProse(path, read(t, path))...)
		}
	}
	return p
}

// filesBelow returns the files of a package and of the packages below it that
// have no row of their own.
func filesBelow(t *testing.T, name string) (files []string) {
	err := filepath.WalkDir("../"+name, func(path string, entry fs.DirEntry, err error) error {
		below := filepath.ToSlash(path)[len("../"):]
		if below != name && slices.Contains(worded, below) {
			return fs.SkipDir
		}
		if err == nil && !entry.IsDir() {
			files = append(files, path)
		}
		return err
	})
	require.NoError(t, err)
	return files
}

func goProse(t *testing.T, path string) (p prose) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
	require.NoError(t, err)
	for _, group := range file.Comments {
		p = append(p, sentences(fset, group)...)
	}
	return p
}

var (
	cComment = regexp.MustCompile(`(?s)/\*.*?\*/|(?m:(?:^\s*//[^\n]*\n)+)|//[^\n]*`)
	cMargin  = regexp.MustCompile(`^\s*(?://|/?\*+/?)`)
)

// cProse returns the sentences of the comments of a C file.
func cProse(name, text string) (p prose) {
	for _, at := range cComment.FindAllStringIndex(text, -1) {
		p = append(p, sentence{})
		n := 1 + strings.Count(text[:at[0]], "\n")
		for line := range strings.Lines(text[at[0]:at[1]]) {
			words := strings.TrimSuffix(strings.TrimSpace(cMargin.ReplaceAllString(line, "")), "*/")
			if words == "" {
				p = append(p, sentence{})
			}
			if !licence.MatchString(words) {
				p = p.add(token.Position{Filename: name, Line: n}, words)
			}
			n++
		}
	}
	return slices.DeleteFunc(p, func(s sentence) bool { return len(s.words) == 0 })
}

// readmeProse reads the README of a package and the other pages beside it, but no code and no table.
// It reads all pages of the examples.
func readmeProse(t *testing.T, name string) (p prose) {
	for _, page := range filesBelow(t, name) {
		if filepath.Ext(page) == ".md" && (name == "examples" || filepath.Dir(page) == filepath.Join("..", name)) {
			p = append(p, pageProse(page, read(t, page))...)
		}
	}
	return p
}

func pageProse(name, text string) (p prose) {
	inCode := false
	n := 0
	for line := range strings.Lines(text) {
		n++
		fence := strings.HasPrefix(line, "```")
		inCode = inCode != fence
		begins := strings.TrimSpace(line) == "" || item.MatchString(line)
		if len(p) == 0 || begins {
			p = append(p, sentence{})
		}
		if !inCode && !fence && !strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "\t") {
			p = p.add(token.Position{Filename: name, Line: n}, line)
		}
	}
	return slices.DeleteFunc(p, func(s sentence) bool { return len(s.words) == 0 })
}

var (
	item      = regexp.MustCompile(`^(- |[0-9]+\. |#)`)
	directive = regexp.MustCompile(`^//(go:|nolint)`)
	licence   = regexp.MustCompile(`Copyright|SPDX-License-Identifier|^(Unordered output|Output):`)
	opening   = regexp.MustCompile(`^ *(- |[0-9]+\. |# )|^ [A-Z][a-z]+: `) // of a list item, a heading, a label
	closing   = regexp.MustCompile(`[.!?]["')\]*]*$`)                      // the last word of a sentence
	letter    = regexp.MustCompile(`[A-Za-z0-9]`)
)

// sentences returns the sentences of a comment.
func sentences(fset *token.FileSet, group *ast.CommentGroup) prose {
	if licence.MatchString(group.Text()) {
		return nil
	}
	p := prose{{}}
	inKernel := false // the paragraph began with Kernel:
	for _, c := range group.List {
		text := strings.TrimPrefix(c.Text, "//")
		blank := strings.TrimSpace(text) == ""
		inKernel = !blank && (inKernel || strings.HasPrefix(text, " Kernel:"))
		code := strings.HasPrefix(text, "\t") || directive.MatchString(c.Text)
		if blank || code || inKernel || opening.MatchString(text) {
			p = append(p, sentence{})
		}
		if !code && !inKernel {
			p = p.add(fset.Position(c.Pos()), text)
		}
	}
	return slices.DeleteFunc(p, func(s sentence) bool { return len(s.words) == 0 })
}

// add appends the words of a line of a comment to the last sentence of p, and
// begins a new one after each full stop.
func (p prose) add(at token.Position, text string) prose {
	for word := range strings.FieldsSeq(text) {
		last := &p[len(p)-1]
		if letter.MatchString(word) {
			if last.words == nil {
				last.place = fmt.Sprintf("%s:%d", at.Filename, at.Line)
			}
			last.words = append(last.words, word)
		}
		if closing.MatchString(word) {
			p = append(p, sentence{})
		}
	}
	return p
}

// The comments of a C file have sentences too. Its code has none.
func TestWordsOfC(t *testing.T) {
	p := cProse("m.c", `// SPDX-License-Identifier: MIT
// Who reads this? It is
// one comment.
int who; /* What follows */
/*
 * A list:
 *
 * those of us
 */
`)
	var got []string
	for _, s := range p {
		got = append(got, s.place+" "+s.String())
	}
	require.Equal(t, []string{
		"m.c:2 Who reads this?", "m.c:2 It is one comment.", "m.c:4 What follows", "m.c:6 A list:", "m.c:8 those of us",
	}, got)
}
