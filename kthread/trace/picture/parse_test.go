package picture_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread/trace/picture"
)

// An error names the line, and quotes the part of it that is wrong.
func TestParseErrors(t *testing.T) {
	good := in("a", 1, 5)
	for text, want := range map[string]string{
		"":                                             "picture: the text has no event of a thread",
		"# tracer: nop\n\n":                            "picture: the text has no event of a thread",
		"{\"traceEvents\":":                            "picture: line 1: no line of ftrace text: \"{\\\"traceEvents\\\":\"",
		good + "\x7fELF\x00\x01":                       "picture: line 2: no line of ftrace text: \"\\x7fELF\\x00\\x01\"",
		good + "\n" + strings.Repeat("x", 100):         "picture: line 3: no line of ftrace text: \"" + strings.Repeat("x", 60) + "\"",
		good + strings.Repeat("x", 70000):              "picture: after line 1: bufio.Scanner: token too long",
		good + in("a", 1, 4):                           "picture: line 2: the time 0.000004 is earlier than the line before",
		"a-1 [000] .... 9999999999.0: x: ":             "picture: line 1: the time of 9999999999 seconds is too large",
		"a-1 [000] .... 99999999999999999999.0: x: ":   "picture: line 1: the time of 99999999999999999999 seconds is too large",
		"a-99999999999999999999 [000] .... 1.0: x: y":  "picture: line 1: the pid \"99999999999999999999\" is no number",
		line("a", 1, 0, "sched_switch: a ==> b"):       "picture: line 1: sched_switch: arguments \"a ==> b\"",
		line("a", 1, 0, "sched_waking: pid=1"):         "picture: line 1: sched_waking: arguments \"pid=1\"",
		line("a", 1, 0, "sched_blocked_reason: pid=1"): "picture: line 1: sched_blocked_reason: arguments \"pid=1\"",
	} {
		chart, err := picture.Parse(strings.NewReader(text))
		require.EqualError(t, err, want)
		require.Nil(t, chart)
	}
}

func TestErrorOfTheReader(t *testing.T) {
	broken := errors.New("broken")
	_, err := picture.Parse(io.MultiReader(strings.NewReader(pingPong), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
}

// Events that Parse does not know change nothing, and neither do comments, the
// kernel's lines about lost events, and lines that end as in Windows.
func TestParseSkips(t *testing.T) {
	noise := line("ping", 1, 0, "sched_migrate_task: comm=x pid=9 prio=120") +
		line("new", 77, 0, "irq_handler_entry: irq=1 name=x") + line("new", 78, 0, "wakeup_empty:") +
		"# comment\n\n  # comment\nCPU:3 [LOST 17 EVENTS]\n" +
		line("ping", 1, 0, "sched_blocked_reason: pid=55 iowait=0 caller=nobody")
	want := draw(t, pingPong, false, 80)
	require.Equal(t, want, draw(t, noise+pingPong, false, 80))
	require.Equal(t, want, draw(t, strings.ReplaceAll(pingPong, "\n", "\r\n"), false, 80))
}

// A thread may have a name like the beginning of a comment.
func TestNameOfAComment(t *testing.T) {
	text := in("#1", 1, 0) + out("#1", 1, 5, "S") + wake("#2", 2, 9, "#1", 1, "door") +
		"#" + strings.TrimPrefix(in("#1", 1, 20), " ") // a comment all the same
	require.Equal(t, strings.TrimPrefix(`
#1 |=====================.door.............!--------|
#2 |                                       ^        |
    0                                         11.0us
    = runs  - can run  . sleeps (S)  ! is woken
    ^ wakes
`, "\n"), draw(t, text, false, 53))
}

// The kernel's own text has names with spaces and dashes, idle threads in angle
// brackets, five flags, states of more than a letter, and no thread groups.
func TestParseTextOfAKernel(t *testing.T) {
	const text = `# tracer: nop
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
     Web - Worker-812     [003] d..2.  100.000000: sched_switch: prev_comm=Web - Worker prev_pid=812 prev_prio=120 prev_state=S ==> next_comm=swapper/3 next_pid=0 next_prio=120
          <idle>-0       [003] dNh4.  100.000100: sched_waking: comm=Web - Worker pid=812 prio=120 target_cpu=003
          <idle>-0       (-------) [003] dNh4.  100.000110: sched_wakeup: comm=Web - Worker pid=812 prio=120 success=1 target_cpu=003
          <idle>-0       [003] d..2.  100.000120: sched_switch: prev_comm=swapper/3 prev_pid=0 prev_prio=120 prev_state=R+ ==> next_comm=Web - Worker next_pid=812 next_prio=120
     Web - Worker-812     [003] d..2.  100.000160: sched_switch: prev_comm=Web - Worker prev_pid=812 prev_prio=120 prev_state=R+ ==> next_comm=kworker/3:1-eve next_pid=77 next_prio=120
 kworker/3:1-eve-77      [003] .....  100.000170: workqueue_execute_start: work struct 00000000a1: function vmstat_update
 kworker/3:1-eve-77      [003] .....  100.000180: workqueue_execute_end: work struct 00000000a1: function vmstat_update
 kworker/3:1-eve-77      [003] d..2.  100.000190: sched_switch: prev_comm=kworker/3:1-eve prev_pid=77 prev_prio=120 prev_state=I ==> next_comm=Web - Worker next_pid=812 next_prio=120
            bash-5       [001] d..1.  100.000200: signal_generate: sig=15 errno=0 code=0 comm=Web - Worker pid=812 grp=1 res=0
     Web - Worker-812     [003] .....  100.000210: sched_process_exit: comm=Web - Worker pid=812 prio=120
`
	require.Equal(t, strings.TrimPrefix(`
bash            |                                           >  |
kworker/3:1-eve |                                   ==1===.....|
Web - Worker    |.....................!----=========------==*=x|
                 0                                      210.0us
                 = runs  - can run  . sleeps (S)  ! is woken
                 > sends a signal  * gets a signal  x ends
                 1 vmstat_update
`, "\n"), draw(t, text, false, 64))
}

// The kernel's tracer may not know the name of a thread in one line, and know it in another.
func TestForgottenName(t *testing.T) {
	text := line("<...>", 1, 0, "tracing_mark_write: I|1|x") + out("a", 1, 1, "S") +
		line("<...>", 1, 2, "tracing_mark_write: I|1|x")
	require.True(t, strings.HasPrefix(draw(t, text, true, 80), "a |"))
}

// A text that a program writes is a mark, a slice or a counter.
func TestMarks(t *testing.T) {
	text := in("a", 1, 0) +
		line("a", 1, 1, "tracing_mark_write: B|1|read|a|file") +
		line("a", 1, 2, "tracing_mark_write: C|1|bytes|left|12") +
		line("a", 1, 3, "tracing_mark_write: C|1|bytes|left|-7") +
		line("a", 1, 4, "tracing_mark_write: C|1|bytes|left|many") +
		line("a", 1, 5, "tracing_mark_write: E|1") +
		line("a", 1, 6, "print: hello") +
		line("a", 1, 7, "tracing_mark_write: I|1|done") +
		line("a", 1, 8, "tracing_mark_write: I|1|done") +
		line("a", 1, 9, "tracing_mark_write: E|1") + // of no slice
		line("swapper/0", 0, 9, "tracing_mark_write: I|1|of no thread")
	require.Equal(t, strings.TrimPrefix(`
a          |==1==============2==3==3===|
bytes|left |     12 -7                 |
            0                     9.0us
            = runs
            1 read|a|file
            2 hello
            3 done
`, "\n"), draw(t, text, false, 40))
}

// A terminal must not act on a name.
func TestControlCharacters(t *testing.T) {
	text := draw(t, wake("evil\x1b[2J", 1, 0, "b\u202e\xff", 2, "q\x00"), false, 80)
	require.NotRegexp(t, "[^\n -~]", text)
	require.Contains(t, text, "evil?[2J")
}
