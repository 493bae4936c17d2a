// Package pictures compares the pictures of a README with traces of its program.
//
// A test of each program gives its forms to [Check]. Each form runs in a bubble, one step at
// a time, while package trace records it. So its picture is the same each time.
package pictures

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/kthread/trace/picture"
)

var update = flag.Bool("update", false, "write the traces of testdata and their pictures again")

// A Form is a way to run a program. SetUp makes its threads, and returns a story. The story
// lets the threads run, and returns when the picture is complete. Cleanup, if it is not
// nil, ends the threads that still sleep. It does not show in the picture.
type Form struct {
	Name  string
	SetUp func() (story, cleanup func())
}

// Check traces each form. Its picture must be the picture of testdata/NAME.ftrace, in the
// directory of the test. README.md shows that picture below the command that draws it, and
// testdata/NAME.svg has it too, if there is such a file. With the flag -update, Check writes
// all of them.
func Check(t *testing.T, forms ...Form) {
	for _, form := range forms {
		t.Run(form.Name, func(t *testing.T) {
			file := filepath.Join("testdata", form.Name+".ftrace")
			text := Trace(t, form.SetUp)
			if *update {
				require.NoError(t, os.WriteFile(file, text, 0o644))
			}
			stored, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, draw(t, stored, inText), draw(t, text, inText), "go test -run Picture -update writes it")
			compare(t, "README.md", func(readme string) string { return show(t, readme, file, draw(t, text, inText)) })
			image := filepath.Join("testdata", form.Name+".svg")
			if _, err := os.Stat(image); err == nil {
				compare(t, image, func(string) string { return draw(t, text, (*picture.Chart).SVG) })
			}
		})
	}
}

// compare requires that a file has the text that edit returns for the text it has now. With
// -update it writes the file.
func compare(t *testing.T, file string, edit func(string) string) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	want := edit(string(text))
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(text), "go test -run Picture -update writes it")
}

// Trace returns the trace of a story. In the story only a [Thread] should sleep or wake
// others.
func Trace(t *testing.T, setUp func() (story, cleanup func())) []byte {
	var text bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		b := bubble{turn: make(chan bool, 1)}
		onecpu.Settle = b.settle
		defer func() { onecpu.Settle = nil }()
		story, cleanup := setUp()
		b.rest()
		require.NoError(t, trace.Start(&text))
		story()
		b.rest()
		require.NoError(t, trace.Stop())
		if cleanup != nil {
			cleanup()
			b.rest()
		}
	})
	return text.Bytes()
}

// A bubble lets several goroutines call synctest.Wait, one after another.
type bubble struct {
	turn    chan bool
	waiting atomic.Int32 // for their turn
}

// settle waits until all other goroutines rest, or wait for their turn.
func (b *bubble) settle() {
	b.waiting.Add(1)
	b.turn <- true
	b.waiting.Add(-1)
	synctest.Wait()
	<-b.turn
}

// rest waits until all other goroutines rest.
func (b *bubble) rest() {
	for b.settle(); b.waiting.Load() > 0; {
		b.settle()
	}
}

// Thread makes a thread that waits. The returned function has the thread run fn, and returns
// when the thread has ended.
func Thread(name string, fn func()) (run func()) {
	begin := make(chan bool)
	thread := kthread.Run(name, func(*kthread.Current) error {
		<-begin
		fn()
		return nil
	})
	return func() {
		close(begin)
		<-thread.Done()
	}
}

// draw returns the chart of a trace, with a column for each step.
func draw(t *testing.T, text []byte, as func(*picture.Chart, io.Writer) error) string {
	chart, err := picture.Parse(bytes.NewReader(text))
	require.NoError(t, err)
	chart.Steps = true
	var out strings.Builder
	require.NoError(t, as(chart, &out))
	return out.String()
}

func inText(c *picture.Chart, w io.Writer) error { return c.Text(w, 80) }

// show puts a chart into the README, in the place of the block below its command.
func show(t *testing.T, readme, file, chart string) string {
	dir, err := os.Getwd()
	require.NoError(t, err)
	command := fmt.Sprintf("    go run ./examples/ktrace -steps examples/%s/%s\n\n```text\n", filepath.Base(dir), filepath.ToSlash(file))
	before, after, found := strings.Cut(readme, command)
	require.True(t, found, "README.md lacks %s", command)
	_, after, _ = strings.Cut(after, "```\n")
	return before + command + chart + "```\n" + after
}

// Marks is a console that writes each line as a mark of the calling goroutine. So a trace
// shows the text that the program prints. A line that begins with # is a title, and no mark.
var Marks io.Writer = marks{}

type marks struct{}

func (marks) Write(line []byte) (int, error) {
	text := strings.TrimPrefix(strings.TrimSpace(string(line)), "kernel: ")
	if !strings.HasPrefix(text, "#") {
		trace.Instant(text)
	}
	return len(line), nil
}
