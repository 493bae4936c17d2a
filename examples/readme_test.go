package examples_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the line numbers of the READMEs' maps anew")

// The programs that have a transcript and a map, in the order of the table of
// contents. What tells of a failure is shorter than an article.
var (
	articles = []string{"monitor-and-helper", "kthread-loop", "blocking-proc-file", "start-stop-kthread"}
	failures = []string{
		"lost-wakeup", "thundering-herd", "swallowed-wakeup", "signal-storm",
		"overwritten-event", "stuck-start", "two-openers", "interruptible-or-not",
	}
)

// eachProgram runs a test for each of them, in its directory's name.
func eachProgram(t *testing.T, test func(t *testing.T, dir, readme string)) {
	for _, dir := range append(articles, failures...) {
		t.Run(dir, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(dir, "README.md"))
			require.NoError(t, err)
			test(t, dir, string(text))
		})
	}
}

func TestEachReadmeHasItsParts(t *testing.T) {
	eachProgram(t, func(t *testing.T, dir, readme string) {
		lines := strings.Count(readme, "\n")
		require.GreaterOrEqual(t, lines, 25)
		require.LessOrEqual(t, lines, 60+pictureLines(readme))
		require.True(t, strings.HasPrefix(readme, "# "+dir+"\n"), "its title")
		at := 0
		for _, part := range []string{
			"\n    go run ./examples/" + dir, "\n```\n", "\n" + header,
			"**Same.**", "**Different.**", "**The bug", "**Left out.**", "**Exercises.**", "**In the kernel.**",
		} {
			i := strings.Index(readme[at:], part)
			require.GreaterOrEqual(t, i, 0, "%q is missing, or in the wrong place", part)
			at += i
		}
		require.Equal(t, 2, strings.Count(readme, "<details><summary>Answer</summary>"))
		require.Equal(t, 2, strings.Count(readme, "</details>"))
	})
}

// pictureLines counts the lines of the pictures, and the lines about them.
func pictureLines(readme string) (n int) {
	for _, block := range regexp.MustCompile("(?s)\n[^\n]*\n\n    go run ./examples/ktrace .*?```text\n.*?```\n").FindAllString(readme, -1) {
		n += strings.Count(block, "\n") // also the empty line above
	}
	return n
}

// A README of a failure shows its broken form, and below that the right form, each below
// the command that draws it from a trace. The test of the program holds them to the program.
func TestEachFailureHasItsPictures(t *testing.T) {
	for _, dir := range failures {
		text, err := os.ReadFile(filepath.Join(dir, "README.md"))
		require.NoError(t, err)
		at := 0
		for _, form := range []string{"broken", "right"} {
			command := fmt.Sprintf("\n    go run ./examples/ktrace -steps examples/%s/testdata/%s.ftrace\n\n```text\n", dir, form)
			i := strings.Index(string(text)[at:], command)
			require.GreaterOrEqual(t, i, 0, "%s: no picture of the form that is %s", dir, form)
			at += i
		}
		tests, err := os.ReadFile(filepath.Join(dir, "picture_test.go"))
		require.NoError(t, err)
		require.Contains(t, string(tests), "pictures.Check(t,")
	}
}

// A README that pipes the program into uniq -c shows what comes out of that.
func TestEachReadmeShowsTheTranscript(t *testing.T) {
	eachProgram(t, func(t *testing.T, dir, readme string) {
		text, err := os.ReadFile(filepath.Join(dir, "testdata", "transcript.txt"))
		require.NoError(t, err)
		want := string(text)
		if strings.Contains(readme, "go run ./examples/"+dir+" | uniq -c\n") {
			want = uniq(want)
		}
		_, shown, _ := strings.Cut(readme, "\n```\n")
		shown, _, _ = strings.Cut(shown, "```\n")
		require.Equal(t, want, shown)
	})
}

// uniq is uniq -c.
func uniq(text string) string {
	var out strings.Builder
	lines := strings.SplitAfter(text, "\n")
	for i := 0; i < len(lines)-1; {
		n := 1
		for lines[i+n] == lines[i] {
			n++
		}
		fmt.Fprintf(&out, "%7d %s", n, lines[i])
		i += n
	}
	return out.String()
}

const header = "| C function | statement | Go |\n|---|---|---|\n"

// A row of a map: the C function, or - for what is outside of all; statements,
// which stand beside one line of Go; and that line.
var row = regexp.MustCompile("(?m)^\\| (-|`[^|`]+`) \\| (`.*`) \\| (.*) \\|$")

func TestEachMapIsTrue(t *testing.T) {
	eachProgram(t, func(t *testing.T, dir, readme string) {
		_, table, _ := strings.Cut(readme, "\n"+header)
		table, _, _ = strings.Cut(table, "\n\n")
		rows := row.FindAllStringSubmatch(table, -1)
		require.Len(t, rows, strings.Count(table, "\n")+1, "a row of another form")
		require.GreaterOrEqual(t, len(rows), 3)
		code := parse(t, dir)
		for _, cells := range rows {
			place := code.place(t, strings.Trim(cells[1], "`-"), statements(cells[2]))
			link := fmt.Sprintf("[%s](%s)", place, strings.Replace(place, ":", "#L", 1))
			if *update {
				readme = strings.Replace(readme, cells[0], strings.Replace(cells[0], "| "+cells[3]+" |", "| "+link+" |", 1), 1)
			} else {
				require.Equal(t, link, cells[3], "%s: go test ./examples -update writes the numbers anew", cells[2])
			}
		}
		if *update {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "README.md"), []byte(readme), 0o644))
		}
	})
}

// statements returns what a cell has in backquotes.
func statements(cell string) (found []string) {
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		found = append(found, strings.ReplaceAll(m[1], `\|`, "|"))
	}
	return found
}

// code is the source of a program.
type code struct {
	fset  *token.FileSet
	files map[string]*ast.File
	text  map[string][]byte
}

func parse(t *testing.T, dir string) code {
	c := code{token.NewFileSet(), map[string]*ast.File{}, map[string][]byte{}}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, path := range names {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		name := filepath.Base(path)
		c.text[name], err = os.ReadFile(path)
		require.NoError(t, err)
		c.files[name], err = parser.ParseFile(c.fset, path, c.text[name], parser.ParseComments)
		require.NoError(t, err)
	}
	return c
}

// place returns the one place, as file:line, where the statements of a C
// function stand in a comment: the line of the comment, or the one below it if
// it has a line of its own. A Go function stands for a C function that its doc
// comment names.
func (c code) place(t *testing.T, function string, statements []string) string {
	var found []string
	for name, file := range c.files {
		for _, comment := range file.Comments {
			if has(comment.Text(), statements) && c.inside(comment, file, function) {
				found = append(found, fmt.Sprintf("%s:%d", name, c.line(name, comment)))
			}
		}
	}
	require.Len(t, found, 1, "places of %q in %q", statements, function)
	return found[0]
}

func has(text string, statements []string) bool {
	text = strings.ReplaceAll(text, "\n", " ")
	for _, s := range statements {
		if !strings.Contains(text, s) {
			return false
		}
	}
	return true
}

// inside reports whether the comment is in a Go function that stands for the C
// function, or outside of functions if there is none.
func (c code) inside(comment *ast.CommentGroup, file *ast.File, function string) bool {
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if ok && f.Pos() <= comment.Pos() && comment.Pos() < f.End() {
			word := regexp.MustCompile(`\b` + regexp.QuoteMeta(function) + `\b`)
			return function != "" && word.MatchString(f.Doc.Text())
		}
	}
	return function == ""
}

func (c code) line(name string, comment *ast.CommentGroup) int {
	start := c.fset.Position(comment.Pos())
	before := c.text[name][start.Offset-(start.Column-1) : start.Offset]
	if len(bytes.TrimSpace(before)) > 0 {
		return start.Line
	}
	return c.fset.Position(comment.End()).Line + 1
}

// An article is a file or two of at most 120 lines of code, a failure a whole
// program of at most 80, and what is shown on a screen fits on it, with tabs of
// four columns.
func TestEachProgramIsSmall(t *testing.T) {
	eachProgram(t, func(t *testing.T, dir, _ string) {
		total := 0
		for name, text := range parse(t, dir).text {
			n := linesOfCode(text)
			total += n
			require.LessOrEqual(t, n, 120, name)
			for i, line := range strings.Split(string(text), "\n") {
				width := len([]rune(strings.ReplaceAll(line, "\t", "    ")))
				require.LessOrEqual(t, width, 80, "%s:%d", name, i+1)
			}
		}
		if slices.Contains(failures, dir) {
			require.LessOrEqual(t, total, 80)
		}
		t.Log(total, "lines of code")
	})
}

// linesOfCode counts the lines that have more than a comment.
func linesOfCode(text []byte) int {
	var s scanner.Scanner
	fset := token.NewFileSet()
	file := fset.AddFile("", fset.Base(), len(text))
	s.Init(file, text, nil, 0)
	lines := map[int]bool{}
	for {
		pos, tok, _ := s.Scan()
		if tok == token.EOF {
			return len(lines)
		}
		lines[fset.Position(pos).Line] = true
	}
}

// The table of contents names every program, with its README if it has one.
func TestTableOfContents(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	programs, err := filepath.Glob("*/main.go")
	require.NoError(t, err)
	for _, path := range programs {
		dir := filepath.Dir(path)
		require.Contains(t, string(text), fmt.Sprintf("| [%s](%s) | ", dir, dir))
	}
	links := regexp.MustCompile(`\]\(([^)]*)\)`).FindAllStringSubmatch(string(text), -1)
	for _, link := range links {
		_, err := os.Stat(link[1])
		require.NoError(t, err)
	}
}

// Every kernel name that an article uses is in the README of a package, or in the
// README of the examples.
func TestEveryNameOfTheArticlesHasAHome(t *testing.T) {
	known := ""
	for _, name := range packages {
		known += packageReadme(t, name)
	}
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	known += string(text)
	for name := range strings.FieldsSeq(`
		DECLARE_WAIT_QUEUE_HEAD init_waitqueue_head DECLARE_WAITQUEUE add_wait_queue
		remove_wait_queue set_current_state TASK_INTERRUPTIBLE TASK_RUNNING schedule
		current interruptible_sleep_on interruptible_sleep_on_timeout HZ wake_up
		wake_up_interruptible rwlock_t rwlock_init read_lock read_unlock write_lock
		write_unlock kernel_thread CLONE_FS CLONE_FILES CLONE_SIGHAND SIGCHLD daemonize
		kthreadd keventd schedule_task tq_struct allow_signal signal_pending
		siginitsetinv sigmask kill_proc start_kthread init_kthread stop_kthread
		exit_kthread init_MUTEX_LOCKED down up mb lock_kernel unlock_kernel
		call_usermodehelper kmalloc kfree kern_table proc_dostring ctl_name sysctl_string
		MOD_INC_USE_COUNT MOD_DEC_USE_COUNT module_init init_module cleanup_module
		put_user get_user file_operations inode_operations proc_dir_entry proc_register
		printk`) {
		assert.Contains(t, known, "`"+name+"`")
	}
	docs := documented(t)
	var names []string
	for _, name := range packages {
		names = append(names, path.Base(name))
	}
	for _, m := range regexp.MustCompile("`((?:"+strings.Join(names, "|")+`)\.[A-Za-z.]+)`+"`").FindAllStringSubmatch(string(text), -1) {
		require.Contains(t, docs, m[1])
	}
}
