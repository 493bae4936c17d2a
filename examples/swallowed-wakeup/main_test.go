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
	"github.com/kprim/kprim/internal/models"
	"github.com/kprim/kprim/waitqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

//go:embed testdata/transcript.txt
var transcript string

//go:embed README.md
var readme string

// The order of the threads could differ. In the windows threads really run, so
// TestTheWindow has each 200 times, and holds it to the transcript. A search
// takes its time, and chooses itself which goroutine goes on. So a few whole
// sessions are enough.
func TestTranscriptIsTheSameEveryTime(t *testing.T) {
	runs := 10
	if models.Race {
		runs = 1
	}
	for range runs {
		var out strings.Builder
		require.NoError(t, session(&out))
		require.Equal(t, transcript, out.String())
	}
}

// A returns, B sleeps or not, and the same waiters are woken every time.
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

// The first answer of the README.
func passOn(token *waitqueue.Completion, th *orders.Thread) error {
	err := leave(token, th)
	if err != nil {
		th.Step("pass it on")
		token.WaitQueue().WakeUp()
	}
	return err
}

// The second.
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
		t.Skip("takes its time, and the transcript has two searches")
	}
	for _, test := range []struct {
		wait        waiter
		orders, bad int
		answer      string // of the README
	}{
		{passOn, 5485, 0, ">%d of %d:"},
		{testTooSoon, 5541, 232, ">No. If the test and the leaving are two steps, %d of %d orders"},
	} {
		found := inEveryOrder(test.wait)
		require.Equal(t, []int{test.orders, test.bad}, []int{found.Orders, found.Bad}, found)
		require.Contains(t, readme, fmt.Sprintf(test.answer, found.Bad, found.Orders))
	}
}

// With a signal and no wake-up, nothing is taken, and the next wake-up finds B.
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
