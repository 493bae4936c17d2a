package kthread_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// A subject is a thread in some state, and the traces that it leaves.
type subject struct {
	*kthread.Thread
	queue waitqueue.Queue
	held  chan struct{} // the thread runs until this is closed

	called bool    // the function
	tests  int     // of the condition of its sleep
	sleeps []error // of the sleeps that ended
}

func newSubject() *subject {
	s := &subject{held: make(chan struct{})}
	s.Thread = kthread.Create("t", s.main)
	return s
}

func (s *subject) main(cur *kthread.Current) error {
	s.called = true
	_ = cur.Allow(usr1)
	<-s.held
	for !cur.ShouldStop() {
		cur.ParkMe()
		s.sleeps = append(s.sleeps, cur.Wait(&s.queue, func() bool {
			s.tests++
			return cur.ShouldPark()
		}))
		cur.Flush()
	}
	return errMine
}

// wake starts the thread, and returns when it does not go on.
func (s *subject) wake() {
	s.WakeUp()
	synctest.Wait()
}

// states brings a new thread into the state of each row of the README.
var states = map[string]func(*testing.T, *subject){
	"before its first run": func(*testing.T, *subject) {},
	"running":              func(_ *testing.T, s *subject) { s.wake() },
	"asleep": func(t *testing.T, s *subject) {
		close(s.held)
		s.wake()
		require.Equal(t, waitqueue.Interruptible, s.Info().State)
	},
	"parked": func(t *testing.T, s *subject) {
		close(s.held)
		s.wake()
		require.NoError(t, s.Park(t.Context()))
		s.sleeps = nil
		require.True(t, s.called)
	},
	"parked before its first run": func(t *testing.T, s *subject) {
		close(s.held)
		require.NoError(t, s.Park(t.Context()))
		require.False(t, s.called)
	},
	"gone": func(t *testing.T, s *subject) {
		close(s.held)
		s.wake()
		require.Equal(t, errMine, s.Stop())
	},
}

// answers has, for each call, the words of the README and a test of them.
var answers = map[string]map[string]func(*testing.T, *subject){
	"Stop": {
		"EINTR, the function is never called": func(t *testing.T, s *subject) {
			require.ErrorIs(t, s.Stop(), syscall.EINTR)
			require.False(t, s.called)
		},
		"waits for its end": func(t *testing.T, s *subject) {
			require.Equal(t, errMine, s.whenReleased(t, s.Stop))
		},
		"ends the sleep, waits for its end": func(t *testing.T, s *subject) {
			require.Equal(t, errMine, s.Stop())
			require.Equal(t, []error{kthread.ErrStopped}, s.sleeps)
		},
		"goes on, waits for its end": func(t *testing.T, s *subject) {
			require.Equal(t, waitqueue.Parked, s.Info().State)
			require.Equal(t, errMine, s.Stop())
			require.True(t, s.called)
		},
		"its error, at once": func(t *testing.T, s *subject) {
			require.Equal(t, errMine, s.StopContext(endedContext(t)))
		},
	},
	"Park": {
		"parks before the function is called": func(t *testing.T, s *subject) {
			require.NoError(t, s.Park(t.Context()))
			require.Equal(t, waitqueue.Parked, s.Info().State)
			require.False(t, s.called)
		},
		"waits until it parks": func(t *testing.T, s *subject) {
			require.NoError(t, s.whenReleased(t, func() error { return s.Park(t.Context()) }))
			require.Equal(t, waitqueue.Parked, s.Info().State)
		},
		"wakes it, waits until it parks": func(t *testing.T, s *subject) {
			require.NoError(t, s.Park(t.Context()))
			require.Equal(t, waitqueue.Parked, s.Info().State)
			require.Equal(t, []error{nil}, s.sleeps)
		},
		"EBUSY":  func(t *testing.T, s *subject) { require.ErrorIs(t, s.Park(t.Context()), syscall.EBUSY) },
		"ENOSYS": func(t *testing.T, s *subject) { require.ErrorIs(t, s.Park(t.Context()), syscall.ENOSYS) },
	},
	"Unpark": {
		"no effect": func(t *testing.T, s *subject) { s.stays(t, s.Unpark) },
		"goes on": func(t *testing.T, s *subject) {
			require.Equal(t, waitqueue.Parked, s.Info().State)
			s.Unpark()
			synctest.Wait()
			require.True(t, s.called)
			require.Equal(t, waitqueue.Interruptible, s.Info().State)
		},
	},
	"Signal": {
		"is lost": func(t *testing.T, s *subject) {
			s.stays(t, func() { require.NoError(t, s.Signal(usr1)) })
			require.Zero(t, s.PendingSignals())
		},
		"becomes pending": func(t *testing.T, s *subject) {
			s.stays(t, func() { require.NoError(t, s.Signal(usr1)) })
			require.NotZero(t, s.PendingSignals())
		},
		"ends the sleep": func(t *testing.T, s *subject) {
			require.NoError(t, s.Signal(usr1))
			synctest.Wait()
			require.Len(t, s.sleeps, 1)
			require.ErrorIs(t, s.sleeps[0], syscall.EINTR)
			require.NotErrorIs(t, s.sleeps[0], kthread.ErrStopped)
		},
		"ESRCH": func(t *testing.T, s *subject) { require.ErrorIs(t, s.Signal(usr1), syscall.ESRCH) },
	},
	"WakeUp": {
		"true: starts it": func(t *testing.T, s *subject) {
			require.True(t, s.WakeUp())
			synctest.Wait()
			require.True(t, s.called)
		},
		"true: it tests again": func(t *testing.T, s *subject) {
			before := s.tests
			require.True(t, s.WakeUp())
			synctest.Wait()
			require.Greater(t, s.tests, before)
			require.Empty(t, s.sleeps, "it sleeps on")
		},
		"false: no effect": func(t *testing.T, s *subject) {
			s.stays(t, func() { require.False(t, s.WakeUp()) })
		},
	},
}

// stays fails if the call changes the state of the thread, or makes it take a step.
func (s *subject) stays(t *testing.T, call func()) {
	state, called, tests, sleeps := s.Info().State, s.called, s.tests, len(s.sleeps)
	call()
	synctest.Wait()
	require.Equal(t, state, s.Info().State)
	require.Equal(t, called, s.called)
	require.Equal(t, tests, s.tests)
	require.Len(t, s.sleeps, sleeps)
}

// whenReleased returns the answer of a call. It fails if the answer comes before the
// thread, which runs, is released.
func (s *subject) whenReleased(t *testing.T, call func() error) error {
	answer := make(chan error, 1)
	go func() { answer <- call() }()
	synctest.Wait()
	require.Empty(t, answer)
	close(s.held)
	return <-answer
}

// Every cell of the README's table of states is true.
func TestREADMESaysTheAnswersInEachState(t *testing.T) {
	rows := tableOf(t, "| the thread is |")
	require.Len(t, rows, 1+len(states))
	require.Len(t, rows[0], 1+len(answers))
	for _, row := range rows[1:] {
		enter, ok := states[row[0]]
		require.True(t, ok, "no state is %q", row[0])
		for i, words := range row[1:] {
			call := strings.Trim(rows[0][1+i], "`")
			check, ok := answers[call][words]
			require.True(t, ok, "%s has no answer %q", call, words)
			t.Run(row[0]+"/"+call, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSubject()
					enter(t, s)
					check(t, s)
					s.end()
				})
			})
		}
	}
}

// end lets the thread end, in whichever state it is.
func (s *subject) end() {
	select {
	case <-s.held:
	default:
		close(s.held)
	}
	_ = s.Stop()
}

// tableOf returns the cells of the README's table whose first line begins like this.
func tableOf(t *testing.T, begin string) (rows [][]string) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, table, ok := strings.Cut(string(text), "\n"+begin)
	require.True(t, ok)
	table, _, _ = strings.Cut(begin+table, "\n\n")
	for i, line := range strings.Split(table, "\n") {
		if i == 1 {
			continue // the rule below the headings
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}
