package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/examples/step/steptest"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue/explore"
)

func TestGame(t *testing.T) { steptest.All(t, game, 8, 1) }

// If the stop has a semaphore of its own, no order leaves the stopper asleep.
func TestRightFormInEveryOrder(t *testing.T) {
	found := explore.Search{}.Find(t, model(false))
	require.Equal(t, []int{5, 0}, []int{found.Orders, found.Bad})
}

// No order of the Stop of package kthread hangs. The search stops inside it too.
func TestLibrarysStopInEveryOrder(t *testing.T) {
	search := explore.Search{Points: []string{"begin", "stop flag is set", "exited", "done is closed"}}
	found := search.Find(t, func(m *explore.Model) {
		m.Adopt("begin", "example")
		example := kthread.Run("example", func(*kthread.Current) error {
			m.At("end")
			return io.EOF
		})
		var result error
		m.Go("stopper", func(th *explore.Thread) {
			th.Step("stop")
			result = example.Stop()
		})
		m.Check(func() error {
			// EINTR: the stop came before the thread ran.
			if result != io.EOF && !errors.Is(result, syscall.EINTR) {
				return fmt.Errorf("Stop returned %w", result)
			}
			return nil
		})
	})
	require.Equal(t, []int{14, 0}, []int{found.Orders, found.Bad})
}

// The README says how many orders there are, of both forms.
func TestReadmeSaysHowManyOrders(t *testing.T) {
	require.Contains(t, strings.Join(strings.Fields(readme), " "), "1 of the 8 orders wins. If the stop does not lock its semaphore again, there are 5 orders, and none of them wins.")
}

// The arguments choose between the transcript and the game.
func TestArguments(t *testing.T) {
	var out strings.Builder
	require.NoError(t, program.Run([]string{"-show"}, strings.NewReader(""), &out))
	require.Contains(t, out.String(), game.Aim)
	require.Equal(t, 2, step.Status(program.Run([]string{"-stop"}, strings.NewReader(""), io.Discard)))
	out.Reset()
	require.NoError(t, program.Run(nil, nil, &out))
	require.Equal(t, transcript, out.String())
}

// The third answer: with the big kernel lock the stop has two steps, and the end
// of the thread has one.
func TestBigKernelLock(t *testing.T) {
	found := explore.Search{}.Find(t, func(m *explore.Model) {
		k := &kthreadT{thread: true}
		orders.Add(m, "stop_kthread", func(th *orders.Thread) {
			th.Step("test kthread->thread")
			if k.thread {
				th.Step("init_MUTEX_LOCKED, down")
				k.count = 0
				k.downInModel(th)
			}
		})
		orders.Add(m, "exit_kthread", func(th *orders.Thread) {
			th.Step("set kthread->thread to NULL, up")
			k.up(false)
		})
	})
	require.Equal(t, []int{3, 1}, []int{found.Orders, found.Bad})
	require.Contains(t, answers, "Then 1 of 3 orders wins:")
}
