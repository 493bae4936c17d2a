package examples_test

import (
	"flag"
	"fmt"
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

	"github.com/kprim/kprim/examples/internal/counterpart"
)

var update = flag.Bool("update", false, "write the line numbers of the maps in the READMEs")

// The programs that have a transcript and a map, in the order of the table of
// contents.
var (
	articles = []string{"monitor-and-helper", "kthread-loop", "blocking-proc-file", "start-stop-kthread"}
	failures = []string{
		"lost-wakeup", "thundering-herd", "swallowed-wakeup", "signal-storm",
		"overwritten-event", "stuck-start", "two-openers", "interruptible-or-not",
	}
	// others have the parts of a failure, but no pictures of their own form.
	others = []string{"pipe"}
)

func isArticle(dir string) bool { return slices.Contains(articles, dir) }

// eachProgram runs a test for each of them, in its directory's name.
func eachProgram(t *testing.T, test func(t *testing.T, dir, readme string)) {
	for _, dir := range slices.Concat(articles, failures, others) {
		t.Run(dir, func(t *testing.T) { test(t, dir, read(t, dir, "README.md")) })
	}
}

// eachArticle runs a test for each article with a kernel module of its own.
func eachArticle(t *testing.T, test func(t *testing.T, dir, readme string)) {
	for _, dir := range articles {
		t.Run(dir, func(t *testing.T) { test(t, dir, read(t, dir, "README.md")) })
	}
}

func read(t *testing.T, path ...string) string {
	text, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(text)
}

func exists(path ...string) bool {
	_, err := os.Stat(filepath.Join(path...))
	return err == nil
}

// parts returns the texts that a README has, in their order.
func parts(dir string) []string {
	found := []string{
		"\n    go run ./examples/" + dir, "\n```\n", "\n" + header(dir),
		"**Same.**", "**Different.**", "**The bug", "**Left out.**", "**Exercises.**",
		"\nAnswers: [answers.md](answers.md).\n", "**In the kernel.**",
	}
	if isArticle(dir) {
		found = append(found, "**Source.**")
	}
	return found
}

// header returns the header of the map.
func header(dir string) string {
	if isArticle(dir) {
		return counterpart.HeaderOfArticle
	}
	return counterpart.HeaderOfFailure
}

func TestEachReadmeHasItsParts(t *testing.T) {
	eachProgram(t, func(t *testing.T, dir, readme string) {
		lines := strings.Count(withoutPictures(readme), "\n")
		require.GreaterOrEqual(t, lines, 25)
		require.LessOrEqual(t, lines, 150, "lines of the README without its pictures")
		require.True(t, strings.HasPrefix(readme, "# "+dir+"\n"), "its title")
		at := 0
		for _, part := range parts(dir) {
			i := strings.Index(readme[at:], part)
			require.GreaterOrEqual(t, i, 0, "%q is missing, or in the wrong place", part)
			at += i
		}
	})
}

// withoutPictures returns a README without the pictures, the commands that draw
// them, and the line above each command.
func withoutPictures(readme string) string {
	picture := regexp.MustCompile("(?s)\n[^\n]*\n\n    go run ./examples/ktrace [^\n]*\n\n```text\n.*?```\n")
	return picture.ReplaceAllString(readme, "\n")
}

// The answers have a file of their own, so that a reader of the README meets
// the question first. There is one answer for each question.
func TestEachExerciseHasItsAnswer(t *testing.T) {
	eachProgram(t, func(t *testing.T, dir, readme string) {
		_, questions, _ := strings.Cut(readme, "**Exercises.**")
		questions, _, _ = strings.Cut(questions, "\nAnswers: ")
		n := len(regexp.MustCompile(`(?m)^[0-9]+\. `).FindAllString(questions, -1))
		require.GreaterOrEqual(t, n, 2, "exercises")
		answers := strings.Split(read(t, dir, "answers.md"), "\n## ")[1:]
		require.Len(t, answers, n, "%s/answers.md: headings like \"## 1\"", dir)
		for i, answer := range answers {
			number, text, _ := strings.Cut(answer, "\n")
			require.Equal(t, fmt.Sprint(i+1), number, "%s/answers.md: the number of a heading", dir)
			require.NotEmpty(t, strings.TrimSpace(text), "%s/answers.md: answer %d", dir, i+1)
		}
	})
}

// No page hides a part of its text: a reader of the plain file sees all of it.
func TestNoPageHidesText(t *testing.T) {
	for _, page := range pages(t) {
		assert.False(t, strings.Contains(read(t, page), "<details"), page)
	}
}

// pages returns the Markdown files of all examples.
func pages(t *testing.T) []string {
	below, err := filepath.Glob("*/*.md")
	require.NoError(t, err)
	here, err := filepath.Glob("*.md")
	require.NoError(t, err)
	return append(here, below...)
}

// A paragraph has at most five lines, and each list item is a paragraph. A line
// has at most 80 columns, and a row of a table at most 160 characters.
func TestEachPageIsWrapped(t *testing.T) {
	for _, page := range pages(t) {
		text := withoutPictures(read(t, page))
		for i, line := range strings.Split(text, "\n") {
			if strings.HasPrefix(line, "|") {
				assert.LessOrEqual(t, len([]rune(line)), 160, "%s, without its pictures, line %d: %s", page, i+1, line)
			} else {
				assert.True(t, fits(line), "%s, without its pictures, line %d has more than 80 columns: %s", page, i+1, line)
			}
		}
		for _, p := range longParagraphs(text) {
			assert.Fail(t, "a paragraph of more than five lines", "%s: it begins %q", page, p)
		}
	}
}

// fits reports whether a line has at most 80 columns. The target of a link does
// not count, and a single long word cannot be broken.
func fits(line string) bool {
	shown := regexp.MustCompile(`\]\([^)]*\)`).ReplaceAllString(line, "]")
	return len([]rune(shown)) <= 80 || len(strings.Fields(line)) == 1
}

// longParagraphs returns the first lines of the paragraphs that have more than
// five lines. Code and tables are no paragraphs.
func longParagraphs(text string) (found []string) {
	text = regexp.MustCompile("(?s)```.*?```").ReplaceAllString(text, "")
	item := regexp.MustCompile(`^(- |[0-9]+\. )`)
	var paragraph []string
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case strings.TrimSpace(line) == "", strings.HasPrefix(line, "|"), strings.HasPrefix(line, "    "):
			paragraph = nil
		case item.MatchString(line):
			paragraph = []string{line}
		default:
			paragraph = append(paragraph, line)
		}
		if len(paragraph) == 6 {
			found = append(found, paragraph[0])
		}
	}
	return found
}

// A README leads to the source of the kernel in one version, because a line
// number or a name is not true for all versions.
func TestEachReadmeLinksToAVersionOfTheKernel(t *testing.T) {
	versioned := regexp.MustCompile(`\]\(https://elixir\.bootlin\.com/linux/v[0-9.]+/source/[^)#]+(#L[0-9]+)?\)`)
	eachProgram(t, func(t *testing.T, dir, readme string) {
		_, kernel, _ := strings.Cut(readme, "**In the kernel.**")
		require.Regexp(t, versioned, kernel)
		require.Len(t, versioned.FindAllString(readme, -1), strings.Count(readme, "(https://elixir.bootlin.com/"),
			"a link to the kernel without a version")
	})
}

// A README of a failure shows its broken form, and below that the right form, each below
// the command that draws it from a trace. The test of the program holds them to the program.
func TestEachFailureHasItsPictures(t *testing.T) {
	for _, dir := range failures {
		text := read(t, dir, "README.md")
		at := 0
		for _, form := range []string{"broken", "right"} {
			command := fmt.Sprintf("\n    go run ./examples/ktrace -steps examples/%s/testdata/%s.ftrace\n\n```text\n", dir, form)
			i := strings.Index(text[at:], command)
			require.GreaterOrEqual(t, i, 0, "%s: no picture of the form that is %s", dir, form)
			at += i
		}
		require.Contains(t, read(t, dir, "picture_test.go"), "pictures.Check(t,")
	}
}

// A README that pipes the program into uniq -c shows the output of that.
func TestEachReadmeShowsTheTranscript(t *testing.T) {
	eachProgram(t, func(t *testing.T, dir, readme string) {
		want := read(t, dir, "testdata", "transcript.txt")
		requireNarrow(t, dir+"/testdata/transcript.txt", want)
		if strings.Contains(readme, "go run ./examples/"+dir+" | uniq -c\n") {
			want = uniq(want)
		}
		_, shown, _ := strings.Cut(readme, "\n```\n")
		shown, _, _ = strings.Cut(shown, "```\n")
		require.Equal(t, want, shown)
	})
}

func requireNarrow(t *testing.T, name, transcript string) {
	for i, line := range strings.Split(transcript, "\n") {
		require.LessOrEqual(t, len([]rune(line)), 80, "%s:%d: columns of %q", name, i+1, line)
	}
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

// The loops of articles 1 and 2 as printed run too. The README of the article
// has the command, and a part of the transcript below it.
func TestEachFaultyLoopHasItsTranscript(t *testing.T) {
	for _, article := range articles[:2] {
		dir := article + "/faulty"
		transcript := read(t, dir, "testdata", "transcript.txt")
		require.NotEmpty(t, transcript, dir)
		requireNarrow(t, dir+"/testdata/transcript.txt", transcript)
		_, below, found := strings.Cut(read(t, article, "README.md"), "\n    go run ./examples/"+dir+"\n")
		require.True(t, found, "%s: its README has no line \"    go run ./examples/%s\"", article, dir)
		shown, found := strings.CutPrefix(strings.TrimLeft(below, "\n"), "```\n")
		require.True(t, found, "%s: its README shows no output below that line", article)
		shown, _, _ = strings.Cut(shown, "```\n")
		require.NotEmpty(t, shown)
		require.Contains(t, transcript, shown)
		requireSmall(t, dir)
	}
}

// An article has files of at most 150 lines of code. A failure is a program of at
// most 130, and may have a game of at most 60 in a file of its own.
func TestEachProgramIsSmall(t *testing.T) {
	eachProgram(t, func(t *testing.T, dir, _ string) {
		total := requireSmall(t, dir)
		if slices.Contains(failures, dir) {
			game := 0
			if exists(dir, "game.go") {
				game = linesOfCode([]byte(read(t, dir, "game.go")))
			}
			require.LessOrEqual(t, game, 60, "lines of code of %s/game.go", dir)
			require.LessOrEqual(t, total-game, 130, "lines of code of %s without its game", dir)
		}
		t.Log(total, "lines of code")
	})
}

// requireSmall returns the lines of code of a program.
func requireSmall(t *testing.T, dir string) (total int) {
	program, err := counterpart.ReadGo(dir)
	require.NoError(t, err)
	for name, text := range program.Text {
		n := linesOfCode(text)
		total += n
		require.LessOrEqual(t, n, 150, "lines of code of %s/%s", dir, name)
		requireColumns(t, dir+"/"+name, string(text))
	}
	return total
}

// requireColumns holds a file to 80 columns, with tabs of four.
func requireColumns(t *testing.T, name, text string) {
	for i, line := range strings.Split(text, "\n") {
		width := len([]rune(strings.ReplaceAll(line, "\t", "    ")))
		require.LessOrEqual(t, width, 80, "%s:%d", name, i+1)
	}
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
		require.Regexp(t, fmt.Sprintf(`(?m)^\| .*\[%s\]\(%s\)`, dir, dir), string(text), "a row of a table")
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

// The rules for lines and paragraphs see the faults that they are for.
func TestRulesOfPages(t *testing.T) {
	word, long := "word ", strings.Repeat("x", 90)
	require.True(t, fits(strings.Repeat(word, 16)))
	require.False(t, fits(strings.Repeat(word, 17)))
	require.True(t, fits("see [it]("+long+") there"))
	require.True(t, fits(long))
	require.False(t, fits("a "+long))

	five := strings.Repeat("a\n", 5)
	require.Empty(t, longParagraphs(five+"\n"+five))
	require.Equal(t, []string{"a"}, longParagraphs(five+"a\n"))
	require.Empty(t, longParagraphs("a\na\n- b\nb\nb\nb\n1. c\n"))
	require.Empty(t, longParagraphs("```\n"+five+five+"```\n"))
	require.Empty(t, longParagraphs(strings.Repeat("| a |\n", 9)+strings.Repeat("    a\n", 9)))

	picture := "\nBelow:\n\n    go run ./examples/ktrace -steps f\n\n```text\n" + long + "\n```\n"
	require.Equal(t, "a\n\n\nb\n", withoutPictures("a\n"+picture+"\nb\n"))
}
