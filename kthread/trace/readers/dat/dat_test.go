package dat_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/kthread/trace/readers/dat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// begin is the beginning of a line.
const begin = "        waiter/0-101     (      1) [000] ....     0.011000000: "

const wakeUp = begin + "sched_wakeup: comm=waiter/1 pid=102 prio=120 target_cpu=001\n"

// An error names the line, and nothing was written.
func TestErrorsNameTheLine(t *testing.T) {
	for text, message := range map[string]string{
		"# tracer: nop\n#\n" + wakeUp + "hello":                              `dat: line 4: "hello" is not a line of a trace`,
		begin + "irq_handler_entry: irq=1":                                   `dat: line 1: the event "irq_handler_entry" is unknown`,
		begin + "sched_wakeup: comm=a pid=1":                                 `dat: line 1: "comm=a pid=1" is not the text of a sched_wakeup`,
		wakeUp + strings.Replace(wakeUp, "11", "10", 1):                      "dat: line 2: the time goes back",
		begin + "tracing_mark_write: B|1|" + strings.Repeat("x", 4096):       "dat: line 1: a record of 4109 bytes does not fit in a page",
		begin + "sched_wakeup: comm=a pid=99999999999 prio=120 target_cpu=0": `dat: line 1: strconv.ParseInt: parsing "99999999999": value out of range`,
	} {
		var out bytes.Buffer
		require.EqualError(t, dat.Convert(&out, strings.NewReader(text)), message)
		require.Empty(t, out.Bytes())
	}
}

func TestErrorsOfReaderAndWriter(t *testing.T) {
	broken := errors.New("broken")
	require.ErrorIs(t, dat.Convert(new(bytes.Buffer), iotest.ErrReader(broken)), broken)
	require.ErrorIs(t, dat.Convert(brokenWriter{broken}, strings.NewReader(wakeUp)), broken)
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

// Any text is either refused, or written: whole pages.
func FuzzConvert(f *testing.F) {
	f.Add("# tracer: nop\n" + wakeUp)
	f.Add(begin + "tracing_mark_write: B|1|x")
	f.Fuzz(func(t *testing.T, text string) {
		var out bytes.Buffer
		if err := dat.Convert(&out, strings.NewReader(text)); err != nil {
			require.Empty(t, out.Bytes())
			return
		}
		require.Zero(t, out.Len()%4096)
	})
}
