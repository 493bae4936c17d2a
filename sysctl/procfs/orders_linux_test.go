//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
)

func init() {
	roles["orders"] = orders
	if os.Getenv("KPRIM_TEST_ROLE") != "" {
		runtime.LockOSThread() // so that /proc/PID tells about the thread that makes the calls
	}
}

// orders makes one system call for each line of its input, and prints the result.
func orders([]string) int {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		result, err := order(strings.Fields(in.Text()))
		if err != nil {
			result = err.Error()
		}
		fmt.Println(result)
	}
	return 0
}

func order(words []string) (string, error) {
	number := func(i int) int {
		n, err := strconv.ParseInt(words[i], 0, 64)
		if err != nil {
			panic(err)
		}
		return int(n)
	}
	switch words[0] {
	case "open": // PATH FLAGS
		return result(unix.Open(words[1], number(2), 0))
	case "dup": // FD
		return result(unix.Dup(number(1)))
	case "close": // FD
		return result(0, unix.Close(number(1)))
	case "pread": // FD
		p := make([]byte, 4096)
		n, err := unix.Pread(number(1), p, 0)
		return fmt.Sprintf("%q", p[:max(n, 0)]), err
	case "poll": // FD EVENTS MILLISECONDS
		return poll(number(1), number(2), number(3))
	case "epoll": // FD EVENTS: a new epoll with FD
		return epoll(number(1), uint32(number(2)))
	case "wait": // EPFD MILLISECONDS
		return epollWait(number(1), number(2))
	case "select": // FD: wait for an exception
		return selectException(number(1))
	}
	return "", errors.New("an unknown order")
}

func result(n int, err error) (string, error) { return strconv.Itoa(n), err }

// poll prints the events of one file. The runtime of Go sends signals of its own, so the
// call begins again after EINTR.
func poll(fd, events, milliseconds int) (string, error) {
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: int16(events)}}
		if _, err := unix.Poll(fds, milliseconds); !errors.Is(err, unix.EINTR) {
			return fmt.Sprintf("%#x", fds[0].Revents), err
		}
	}
}

func epoll(fd int, events uint32) (string, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return "", err
	}
	event := unix.EpollEvent{Events: events}
	return result(ep, unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &event))
}

func epollWait(ep, milliseconds int) (string, error) {
	for {
		events := make([]unix.EpollEvent, 1)
		if _, err := unix.EpollWait(ep, events, milliseconds); !errors.Is(err, unix.EINTR) {
			return fmt.Sprintf("%#x", events[0].Events), err
		}
	}
}

func selectException(fd int) (string, error) {
	for {
		var set unix.FdSet
		set.Set(fd)
		n, err := unix.Select(fd+1, nil, nil, &set, nil)
		if !errors.Is(err, unix.EINTR) {
			return fmt.Sprintf("%d %t", n, set.IsSet(fd)), err
		}
	}
}

// A caller is a process that makes the system calls that a test orders, or prints lines by
// itself.
type caller struct {
	*exec.Cmd
	in   io.WriteCloser
	out  chan string   // closed when the process has closed its output
	done chan struct{} // closed when the process is reaped
}

// newCaller starts this program with a role. It ends with the test.
func newCaller(t testing.TB, role string, args ...string) *caller {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "KPRIM_TEST_ROLE="+role)
	return startCaller(t, cmd)
}

func startCaller(t testing.TB, cmd *exec.Cmd) *caller {
	c := &caller{Cmd: cmd, out: make(chan string), done: make(chan struct{})}
	c.Stderr = os.Stderr
	var err error
	c.in, err = c.StdinPipe()
	require.NoError(t, err)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	go func() {
		defer close(c.done)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			c.out <- lines.Text()
		}
		close(c.out)
		_ = c.Wait()
	}()
	t.Cleanup(c.kill)
	return c
}

// kill ends the process, and waits until it is gone. If it is nsenter, with the real caller
// as its child, then the end of the input ends the child.
func (c *caller) kill() {
	_ = c.Process.Kill()
	_ = c.in.Close()
	c.drain()
}

// drain waits until the process has ended, and returns the rest of its output.
func (c *caller) drain() (lines []string) {
	for line := range c.out {
		lines = append(lines, line)
	}
	<-c.done
	return lines
}

// begin orders a call.
func (c *caller) begin(t testing.TB, format string, args ...any) {
	_, err := fmt.Fprintf(c.in, format+"\n", args...)
	require.NoError(t, err)
}

// end returns the result of the call.
func (c *caller) end(t testing.TB) string {
	select {
	case line, ok := <-c.out:
		require.True(t, ok, "the caller has ended")
		return line
	case <-time.After(processes.Limit):
		wchan, _ := os.ReadFile(fmt.Sprintf("/proc/%d/wchan", c.Process.Pid))
		t.Fatalf("the call of %v does not end; state %s, %s", c.Args, processes.State(c.Process.Pid), wchan)
		return ""
	}
}

// do orders a call, and returns its result.
func (c *caller) do(t testing.TB, format string, args ...any) string {
	c.begin(t, format, args...)
	return c.end(t)
}

// sleeps waits until the process sleeps in a call, other than the read of its input. A
// process that has just started can sleep in futex, before it has read its order.
func (c *caller) sleeps(t testing.TB) {
	processes.Eventually(t, "the caller sleeps in its call", func() bool {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", c.Process.Pid))
		number, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
		call, err := strconv.Atoi(number)
		return err == nil && call != unix.SYS_READ && call != unix.SYS_FUTEX && processes.State(c.Process.Pid) == "S"
	})
}
