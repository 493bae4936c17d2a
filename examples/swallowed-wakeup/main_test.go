package main

import (
	_ "embed"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/examples/step/steptest"
	"github.com/kprim/kprim/internal/models"
	"github.com/kprim/kprim/waitqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

//go:embed testdata/transcript.txt
var transcript string

//go:embed README.md
var readme string

//go:embed answers.md
var answers string

// In the windows threads really run, so their order could differ. TestTheWindow runs each
// window 200 times, and compares it with the transcript. A search is slow, and it chooses
// itself which goroutine goes on. So a few whole sessions are enough.
func TestTranscriptIsTheSameEveryTime(t *testing.T) {
	runs := 10
	if models.Race {
		runs = 1
	}
	for range runs {
		var out strings.Builder
		require.NoError(t, program.Run(nil, nil, &out))
		require.Equal(t, transcript, out.String())
	}
}

func TestEveryOrderCanBePlayed(t *testing.T) {
	if models.Race {
		t.Skip("slow: 2727 orders; lost-wakeup plays all of its orders under the race detector")
	}
	steptest.All(t, game, 2727, 121)
	require.Contains(t, readme, "121 of the 2727 orders win")
}

// With a bound on preemptions a player has fewer orders.
func TestEveryOrderWithinTheBoundCanBePlayed(t *testing.T) {
	steptest.All(t, step.Game{Aim: game.Aim, Model: game.Model, Preemptions: 1}, 308, 5)
}

func TestArguments(t *testing.T) {
	for range 2 {
		var out strings.Builder
		require.NoError(t, program.Run([]string{"-show"}, nil, &out))
		require.Contains(t, out.String(), "replay 1.1.2.2.2.3.4.1\n")
		require.NotContains(t, out.String(), "# leave")
		require.Equal(t, 2, step.Status(program.Run([]string{"-x"}, nil, &out)))
	}
}

// A returns, B sleeps or not, and the wake-ups are the same every time.
func TestTheWindow(t *testing.T) {
	const (
		swallowed = "A: interrupted system call\n1 asleep, token free: true; woken: A 1, B 0\n"
		passedOn  = "A: interrupted system call\n0 asleep, token free: false; woken: A 1, B 1\n"
		taken     = "A: <nil>\n1 asleep, token free: false; woken: A 1, B 0\n"
	)
	for _, test := range []struct {
		name string
		wait waiter
		n    int
		want string
		part string // of the transcript
	}{
		{"leave", leave, 2, swallowed, "# leave\n"},
		{"retest", retest, 2, taken, "# leave, test again\n"},
		{"waitExclusive", waitExclusive, 1, taken, "# WaitExclusive\n"},
		{"passOn", passOn, 2, passedOn, ""},
		{"testTooSoon", testTooSoon, 2, taken, ""},
	} {
		if test.part != "" {
			require.Contains(t, transcript, test.part+test.want)
		}
		for range 200 {
			require.Equal(t, test.want, inTheWindow(test.wait, test.n), test.name)
		}
	}
}

// The first answer.
func passOn(token *waitqueue.Completion, th *orders.Thread) error {
	err := leave(token, th)
	if err != nil {
		th.Step("pass it on")
		token.WaitQueue().WakeUp()
	}
	return err
}

// The second answer.
func testTooSoon(token *waitqueue.Completion, th *orders.Thread) error {
	wait := waitqueue.Entry{Task: &th.Task}
	defer token.WaitQueue().Finish(&wait)
	for {
		th.Step("queue myself")
		token.WaitQueue().PrepareExclusive(&wait, waitqueue.Interruptible)
		if th.Test(token.TryWait) {
			return nil
		}
		th.Step("look for a signal, or sleep")
		if th.Task.Interrupted() {
			if th.Test(token.TryWait) {
				return nil
			}
			th.Step("leave")
			return syscall.EINTR
		}
		th.Schedule()
	}
}

func TestInEveryOrder(t *testing.T) {
	if models.Race {
		t.Skip("slow; the transcript has two searches")
	}
	for _, test := range []struct {
		wait        waiter
		orders, bad int
		answer      string
	}{
		{passOn, 5485, 0, "\n%d of %d orders are bad"},
		{testTooSoon, 5541, 232, "\nNo. If the test and the leaving are two steps, %d of %d orders"},
	} {
		found := inEveryOrder(test.wait)
		require.Equal(t, []int{test.orders, test.bad}, []int{found.Orders, found.Bad}, found)
		require.Contains(t, answers, fmt.Sprintf(test.answer, found.Bad, found.Orders))
	}
}

// With a signal and no wake-up, A takes nothing, and the next wake-up finds B.
func TestSignalAlone(t *testing.T) {
	for name, wait := range map[string]waiter{"leave": leave, "retest": retest} {
		var token waitqueue.Completion
		var err error
		a := orders.Go(func(th *orders.Thread) { err = wait(&token, th) }, 0, nil)
		require.Equal(t, 1, orders.Settle(a))
		b := orders.Go(func(th *orders.Thread) { _ = wait(&token, th) }, 0, nil)
		require.Equal(t, 2, orders.Settle(a, b))
		a.Task.Interrupt()
		require.Equal(t, 1, orders.Settle(a, b))
		require.ErrorIs(t, err, syscall.EINTR, name)
		token.Complete()
		require.Zero(t, orders.Settle(a, b))
		require.False(t, token.IsDone())
		require.False(t, token.WaitQueue().Active())
	}
}
