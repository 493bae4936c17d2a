package processes_test

import (
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWait(t *testing.T) {
	p := processes.Start(t, exec.Command("sh", "-c", "echo out; echo err >&2; exit 3"))
	require.Equal(t, 3, p.Wait(t))
	require.Equal(t, 3, p.Wait(t), "again")
	require.Equal(t, "out\nerr\n", p.Out.String())

	p = processes.Start(t, exec.Command("sh", "-c", "kill -TERM $$"))
	require.Equal(t, -int(syscall.SIGTERM), p.Wait(t))
}

func TestOutputOfItsOwn(t *testing.T) {
	var out processes.Text
	cmd := exec.Command("echo", "text")
	cmd.Stdout = &out
	p := processes.Start(t, cmd)
	require.Zero(t, p.Wait(t))
	require.Equal(t, "text\n", out.String())
	require.Empty(t, p.Out.String())
}

// A process that does not end is killed at the end of its test.
func TestProcessDiesWithItsTest(t *testing.T) {
	var pid int
	t.Run("test", func(t *testing.T) {
		p := processes.Start(t, exec.Command("sh", "-c", "echo begun; exec sleep 1000"))
		pid = p.Process.Pid
		processes.Eventually(t, "begun", func() bool { return strings.HasPrefix(p.Out.String(), "begun") })
		processes.Eventually(t, "asleep", func() bool { return processes.State(pid) == "S" })
	})
	require.Equal(t, "gone", processes.State(pid))
}

// The race detector sees a Text without its lock.
func TestTextOfSeveralGoroutines(t *testing.T) {
	var text processes.Text
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100 {
			_, _ = io.WriteString(&text, "x")
		}
	}()
	processes.Eventually(t, "100 bytes", func() bool { return len(text.String()) == 100 })
	<-done
}

func TestEventually(t *testing.T) {
	tries := 0
	processes.Eventually(t, "the third try", func() bool { tries++; return tries == 3 })
	require.Equal(t, 3, tries)
}
