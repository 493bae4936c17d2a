package picture_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The runtime lets a woken thread run sooner or later. In steps that makes no difference.
func TestStepsIgnoreWhenAThreadRuns(t *testing.T) {
	story := func(first, second int) string {
		return in("a", 1, 0) + out("a", 1, 1, "S") + in("b", 2, 2) + out("b", 2, 3, "S") +
			wake("c", 3, 10, "a", 1, "q") + wake("c", 3, 20, "b", 2, "q") +
			in("ab"[first:first+1], 1+first, 30) + in("ab"[second:second+1], 1+second, 31) +
			out("a", 1, 40, "S") + out("b", 2, 41, "X")
	}
	require.Equal(t, draw(t, story(0, 1), true, 80), draw(t, story(1, 0), true, 80))
	require.NotEqual(t, draw(t, story(0, 1), false, 80), draw(t, story(1, 0), false, 80))
}

// A sleep that does not end is drawn to the end of the axis, with its queue if the trace
// names it. The steps behind the last event are not counted.
func TestSleepWithoutEnd(t *testing.T) {
	text := out("a", 1, 0, "D") + line("a", 1, 1, "sched_blocked_reason: pid=1 iowait=0 caller=d q") +
		line("b", 2, 2, "tracing_mark_write: I|1|too late")
	require.Equal(t, strings.TrimPrefix(`
a |===#d q########|
b |   =1=         |
   0       2 steps
   = runs  # sleeps (D)
   1 too late
`, "\n"), draw(t, text, true, 80))
}

// A queue is named after the wake-up, when the next sleep may have begun.
func TestQueueOfTheLastSleep(t *testing.T) {
	text := out("a", 1, 0, "S") + wake("b", 2, 100, "a", 1, "one") + in("a", 1, 110) +
		out("a", 1, 120, "S") + wake("b", 2, 300, "a", 1, "two")
	picture := draw(t, text, false, 80)
	require.Contains(t, picture, ".one..")
	require.Contains(t, picture, ".two..")
}

// No thread wakes a sleeper whose time is over. Its sleep can be seen, though nothing else
// happens in it.
func TestTimer(t *testing.T) {
	idle := line("swapper/0", 0, 5, "sched_waking: comm=a pid=1 prio=120 target_cpu=000")
	require.Equal(t, strings.TrimPrefix(`
a |===.!-=x=|
   0 3 steps
   = runs  - can run  . sleeps (S)  ! is woken  x ends
`, "\n"), draw(t, out("a", 1, 0, "S")+idle+in("a", 1, 6)+
		out("a", 1, 8, "X"), true, 80))
	// A trace without that line: the thread runs.
	require.Contains(t, draw(t, out("a", 1, 0, "S")+in("a", 1, 6)+out("a", 1, 8, "X"), true, 80), "a |=======x=|")
}

// A signal that is not delivered is none.
func TestSignals(t *testing.T) {
	kill := func(us, res int) string {
		return line("kill", 2, us, fmt.Sprintf("signal_generate: sig=15 errno=0 code=0 comm=a pid=1 grp=1 res=%d", res))
	}
	text := in("a", 1, 0) + kill(10, 0) + kill(20, 1) + kill(30, 2) + out("a", 1, 100, "X")
	require.Equal(t, strings.TrimPrefix(`
a    |-*-=x=|
kill |=>=   |
      0 2 steps
      = runs  - can run  > sends a signal  * gets a signal  x ends
`, "\n"), draw(t, text, true, 80), "one signal and the end")
}

// Marks beyond the last sign share one. Their names are not shown.
func TestManyMarks(t *testing.T) {
	text := ""
	for i := range 50 {
		text += line("a", 1, i, fmt.Sprintf("tracing_mark_write: I|1|mark %d", i+1))
	}
	picture := draw(t, text, true, 80)
	require.Contains(t, picture, "|123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ???????????????|")
	require.Contains(t, picture, "? another mark")
	require.Contains(t, picture, "Z mark 35\n")
	require.NotContains(t, picture, "mark 36")
	chart := parse(t, text)
	chart.Steps = true
	image := svg(t, chart)
	require.NotContains(t, image, "mark 36")
	require.Len(t, places(t, image, ` x="([\d.]+)"[^>]*>\?<`), 15+1, "the marks, and the line that explains them")
	require.Len(t, places(t, image, ` x="([\d.]+)"[^>]*>another mark<`), 1)
	for _, y := range places(t, image, ` y="([\d.]+)"`) {
		require.Less(t, y, places(t, image, `<svg [^>]* height="([\d.]+)"`)[0])
	}
}

// A letter of a name is none of the signs. So the legend does not explain it.
func TestSignsInNames(t *testing.T) {
	text := in("a", 1, 0) + out("a", 1, 5, "S") + wake("b", 2, 95, "a", 1, "xyz?=#*>")
	require.Equal(t, strings.TrimPrefix(`
a |==.xyz?=#*>..................................!|
b |                                             ^|
   0                                       97.0us
   = runs  . sleeps (S)  ! is woken  ^ wakes
`, "\n"), draw(t, text, false, 50))
}

// A wide name is cut, so that the bars have room.
func TestWideNames(t *testing.T) {
	text := in("a", 1, 0) + line("a", 1, 9, "tracing_mark_write: C|1|a counter with a very long name|12345") +
		line("a", 1, 10, "tracing_mark_write: C|1|a counter with a very long name|1")
	picture := draw(t, text, false, 50)
	require.Contains(t, picture, "a counter with a very l… |")
	require.Contains(t, picture, "+ 1|", "the first value has no room")
	require.Contains(t, picture, "+ a value without room\n")
	for row := range strings.Lines(picture) {
		require.LessOrEqual(t, len([]rune(row))-1, 50)
	}
}

// With more steps than columns, several steps share a column.
func TestMoreStepsThanColumns(t *testing.T) {
	text := ""
	for i := range 100 {
		text += out("a", 1, 10*i, "S") + wake("b", 2, 10*i+1, "a", 1, "q")
	}
	picture := draw(t, text, true, 40)
	require.Contains(t, picture, "200 steps")
	line, _, _ := strings.Cut(picture, "\n")
	require.Len(t, line, 40)
}
