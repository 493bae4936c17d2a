package picture_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/kthread/trace/picture"
)

// On js the runtime has a goroutine of its own.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("runtime.handleEvent"))
}

var update = flag.Bool("update", false, "write the pictures of testdata again")

// A line of a thread, and the arguments of the switches that most traces are made of.
func line(comm string, pid int, us int, event string) string {
	return fmt.Sprintf("%16s-%d     (      1) [%03d] ....     0.%06d: %s\n", comm, pid, pid, us, event)
}

func in(comm string, pid, us int) string {
	return line("swapper/0", 0, us, fmt.Sprintf("sched_switch: prev_comm=swapper/0 prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=%s next_pid=%d next_prio=120", comm, pid))
}

func out(comm string, pid, us int, state string) string {
	return line(comm, pid, us, fmt.Sprintf("sched_switch: prev_comm=%s prev_pid=%d prev_prio=120 prev_state=%s ==> next_comm=swapper/0 next_pid=0 next_prio=120", comm, pid, state))
}

func wake(by string, byPid, us int, comm string, pid int, queue string) string {
	args := fmt.Sprintf("comm=%s pid=%d prio=120 target_cpu=000", comm, pid)
	return line(by, byPid, us, "sched_waking: "+args) + line(by, byPid, us+1, "sched_wakeup: "+args) +
		line(by, byPid, us+2, fmt.Sprintf("sched_blocked_reason: pid=%d iowait=0 caller=%s", pid, queue))
}

func parse(t testing.TB, text string) *picture.Chart {
	chart, err := picture.Parse(strings.NewReader(text))
	require.NoError(t, err)
	return chart
}

// draw returns the chart of a text.
func draw(t testing.TB, text string, steps bool, width int) string {
	chart := parse(t, text)
	chart.Steps = steps
	var out strings.Builder
	require.NoError(t, chart.Text(&out, width))
	return out.String()
}

// pingPong is a sleeper in state S, a sleeper in state D, and a waker.
var pingPong = "# tracer: nop\n" +
	in("ping", 1, 0) + out("ping", 1, 10, "S") +
	in("pong", 2, 20) + out("pong", 2, 30, "D") +
	wake("waker", 3, 60, "ping", 1, "table") + in("ping", 1, 70) +
	wake("ping", 1, 80, "pong", 2, "disk") + in("pong", 2, 90) +
	out("ping", 1, 95, "X") + out("pong", 2, 99, "X")

func TestTime(t *testing.T) {
	require.Equal(t, strings.TrimPrefix(`
ping  |=====.table...................!----=====^======x  |
pong  |          =====#disk####################!----====x|
waker |                              ^                   |
       0                                           99.0us
       = runs  - can run  . sleeps (S)  # sleeps (D)
       ! is woken  ^ wakes  x ends
`, "\n"), draw(t, pingPong, false, 58))
}

// A switch to a thread has no column, because its order is chance.
func TestSteps(t *testing.T) {
	require.Equal(t, strings.TrimPrefix(`
ping  |===....!-=^==x=   |
pong  |   ===####!----=x=|
waker |      =^=         |
       0          6 steps
       = runs  - can run  . sleeps (S)  # sleeps (D)  ! is woken  ^ wakes
       x ends
`, "\n"), draw(t, pingPong, true, 80))
}

// The pictures of whole traces are as they were looked at.
func TestPictures(t *testing.T) {
	traces, err := filepath.Glob("testdata/*.ftrace")
	require.NoError(t, err)
	require.Len(t, traces, 2)
	for _, name := range traces {
		trace, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, steps := range []bool{false, true} {
			chart := parse(t, string(trace))
			chart.Steps = steps
			var text, svg bytes.Buffer
			require.NoError(t, chart.Text(&text, 80))
			require.NoError(t, chart.SVG(&svg))
			golden(t, fmt.Sprintf("%s-steps=%t.txt", name, steps), text.Bytes())
			golden(t, fmt.Sprintf("%s-steps=%t.svg", name, steps), svg.Bytes())
		}
	}
}

// golden compares got with a file, or writes the file.
func golden(t *testing.T, name string, got []byte) {
	if *update {
		require.NoError(t, os.WriteFile(name, got, 0o644))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}
