package waitqueue_test

import (
	"context"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// The calls of the table of MOVING.md, for the compiler.
func _(ctx context.Context, ready bool) {
	var mu sync.Mutex
	var flag atomic.Bool
	var q, other waitqueue.Queue
	var places waitqueue.Completion
	c := waitqueue.NewCond(&mu)
	{
		err := c.WaitFor(ctx, func() bool { return ready })
		_ = err
	}
	{
		err := q.WaitLocked(ctx, &mu, func() bool { return ready })
		_ = err
	}
	{
		err := c.Wait(ctx)
		_ = err
		c.Signal()
	}
	{
		err := q.Wait(ctx, flag.Load)
		_ = err
		q.WakeUp()
		q.WakeUpAll()
	}
	{
		err := places.Wait(ctx)
		_ = err
		places.Complete()
	}
	{
		err := q.WaitExclusive(ctx, mu.TryLock)
		_ = err
	}
	{
		var task waitqueue.Task
		err := task.WaitTimeout(&q, time.Second, flag.Load)
		_ = err
	}
	{
		err := waitqueue.WaitAny(ctx, flag.Load, &q, &other)
		_ = err
	}
	{
		ctx, stop := waitqueue.WithTask(ctx, "worker")
		_ = ctx
		stop()
	}
}

// Each code block, each printed order and each call in the right column of MOVING.md is in
// a test file, and so is each Example that it names.
func TestMovingHasOnlyCodeThatRuns(t *testing.T) {
	page, err := os.ReadFile("MOVING.md")
	require.NoError(t, err)
	tested := testFiles(t)
	requireTested := func(code string) {
		require.True(t, strings.Contains(tested, code), "no test has\n%s", code)
	}
	blocks := regexp.MustCompile("(?s)```(?:go|text)\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	require.Len(t, blocks, 4)
	for _, m := range blocks {
		requireTested(unindented(m[1]))
	}
	calls := 0
	for _, row := range regexp.MustCompile(`(?m)^\|.*\| (.*) \|$`).FindAllStringSubmatch(string(page), -1) {
		for _, call := range regexp.MustCompile("`([^`]*\\(.*?)`").FindAllStringSubmatch(row[1], -1) {
			calls++
			requireTested(call[1] + "\n")
		}
	}
	require.Equal(t, 16, calls)
	for _, example := range regexp.MustCompile(`Example\w*_\w+`).FindAllString(string(page), -1) {
		requireTested("func " + example + "() {")
	}
	requireTested(regexp.MustCompile("`(mended.*)`").FindStringSubmatch(string(page))[1])
}

// An Example is shown as a whole file if it is the only one of its file, and has a type beside it.
func TestExamplesAreWholeFiles(t *testing.T) {
	for name, file := range map[string]string{
		"_lostCancellation":  "example_lostcancel_test.go",
		"_connectionPool":    "example_pool_test.go",
		"_priorityQueue":     "example_priority_test.go",
		"_weightedSemaphore": "example_weighted_test.go",
	} {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		require.NoError(t, err)
		examples := doc.Examples(parsed)
		require.Len(t, examples, 1, file)
		require.Equal(t, name, examples[0].Name)
		require.NotEmpty(t, examples[0].Output)
		require.IsType(t, &ast.File{}, examples[0].Code, "all of %s", file)
	}
}

// testFiles returns the text of the package's test files, without indentation and without the
// slashes of comments.
func testFiles(t *testing.T) (text string) {
	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		text += string(content)
	}
	return regexp.MustCompile(`(?m)^// ?`).ReplaceAllString(unindented(text), "")
}

func unindented(text string) string {
	return regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(text, "")
}

func TestMovingIsShortAndItsLinksLeadSomewhere(t *testing.T) {
	page, err := os.ReadFile("MOVING.md")
	require.NoError(t, err)
	require.LessOrEqual(t, strings.Count(string(page), "\n"), 150)
	for _, m := range regexp.MustCompile(`\]\(([^)#]+)`).FindAllStringSubmatch(string(page), -1) {
		_, err := os.Stat(m[1])
		require.NoError(t, err)
	}
}
