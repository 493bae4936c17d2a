package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// onShell runs a test with the CPU, and returns the lines that its processes show.
func onShell(t *testing.T, test func(sh *shell)) string {
	var out strings.Builder
	sh := &shell{out: &out}
	sh.cpu.Lock()
	defer sh.cpu.Unlock()
	test(sh)
	for _, thread := range sh.processes {
		sh.cpu.Sleep(func() { require.NoError(t, thread.Wait(t.Context())) })
	}
	return out.String()
}

// A call that sleeps twice is shown once.
func TestCallIsShownInTwoParts(t *testing.T) {
	require.Equal(t, `writer: write(1, "abcdefghij", 10 <unfinished ...>
reader: read(0, "abcd", 4) = 4
reader: read(0, "efgh", 4) = 4
writer: <... write resumed>) = 10
`, onShell(t, func(sh *shell) {
		r, w := sh.pipe()
		sh.start("writer", func(pr *process) { pr.write(w, "abcdefghij") })
		sh.start("reader", func(pr *process) { pr.read(r, 4) })
		sh.start("reader", func(pr *process) { pr.read(r, 4) })
	}))
}

func TestPollAndSignal(t *testing.T) {
	require.Equal(t, `poller: poll([{fd=0, events=POLLIN}] <unfinished ...>
^C
poller: <... poll resumed>) = -1 EINTR (interrupted system call)
`, onShell(t, func(sh *shell) {
		r, _ := sh.pipe()
		poller := sh.start("poller", func(pr *process) { pr.poll(r) })
		require.NoError(t, sh.interrupt(poller))
		require.False(t, r.rdWait.Active())
	}))
}

func TestPollAtOnce(t *testing.T) {
	var state waitqueue.State
	require.Equal(t, "poller: poll([{fd=1, events=POLLOUT}]) = 1 ([{fd=1, revents=POLLOUT}])\n",
		onShell(t, func(sh *shell) {
			_, w := sh.pipe()
			sh.start("poller", func(pr *process) {
				pr.poll(w)
				state = pr.Task().State()
			})
			require.False(t, w.wrWait.Active())
		}))
	require.Equal(t, waitqueue.Running, state)
}

// One byte wakes all pollers, and they run in the order in which it woke them.
func TestPollersRunInOrder(t *testing.T) {
	for range 200 {
		text := onShell(t, func(sh *shell) {
			r, w := sh.pipe()
			for _, name := range []string{"a", "b", "c"} {
				sh.start(name, func(pr *process) { pr.poll(r) })
			}
			sh.start("writer", func(pr *process) { pr.write(w, "x") })
		})
		_, resumed, _ := strings.Cut(text, "writer: write(1, \"x\", 1) = 1\n")
		require.Equal(t, `c: <... poll resumed>) = 1 ([{fd=0, revents=POLLIN}])
b: <... poll resumed>) = 1 ([{fd=0, revents=POLLIN}])
a: <... poll resumed>) = 1 ([{fd=0, revents=POLLIN}])
`, resumed)
	}
}
