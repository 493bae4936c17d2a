package main

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/waitqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

//go:embed testdata/transcript.txt
var transcript string

//go:embed README.md
var readme string

func TestTranscriptIsTheSameEveryTime(t *testing.T) {
	for range 200 {
		var out strings.Builder
		require.NoError(t, session(&out))
		require.Equal(t, transcript, out.String())
		require.Empty(t, kthread.Tasks(), "all threads have ended")
	}
}

// A busy thread takes events, and calls a function while it serves one.
type busy struct {
	place
	cpu    onecpu.CPU
	thread *kthread.Thread
	during map[int]func() // by the number of earlier events; guarded by cpu
	served []int          // guarded by cpu
}

// serving returns a busy thread that sleeps. The test has its CPU.
func serving(t *testing.T, p place) *busy {
	s := &busy{place: p, during: map[int]func(){}}
	s.cpu.Lock()
	s.thread = s.cpu.Start("mykthread", func(cur *kthread.Current) error {
		by := onecpu.Sleeper{Current: cur, CPU: &s.cpu}
		for id, err := p.take(by); err == nil; id, err = p.take(by) {
			if do := s.during[len(s.served)]; do != nil {
				do()
			}
			s.served = append(s.served, id)
		}
		return nil
	})
	t.Cleanup(func() {
		s.cpu.Unlock()
		require.NoError(t, s.thread.Stop())
		require.False(t, p.WaitQueue().Active())
	})
	return s
}

// settle returns when the thread sleeps.
func (s *busy) settle(t *testing.T) {
	s.cpu.Yield()
	require.Equal(t, waitqueue.Interruptible, s.thread.Info().State)
}

func places() map[string]place {
	return map[string]place{"variable": &variable{}, "slot": &slot{}, "table": &table{}}
}

// A thread that sleeps before each post loses no event in any place.
func TestOneByOneAllAreRight(t *testing.T) {
	for name, p := range places() {
		t.Run(name, func(t *testing.T) {
			s := serving(t, p)
			for id := 1; id <= 3; id++ {
				require.NoError(t, s.Post(id))
				s.settle(t)
			}
			require.Equal(t, []int{1, 2, 3}, s.served)
			require.Zero(t, s.Overwritten())
		})
	}
}

// The wake-up of event 2 finds no sleeper. The event stays in the variable, and
// the thread sleeps.
func TestUnnoticed(t *testing.T) {
	v := &variable{}
	s := serving(t, v)
	s.during[0] = func() { require.NoError(t, s.Post(2)) }
	require.NoError(t, s.Post(1))
	s.settle(t)
	require.Equal(t, []int{1}, s.served)
	require.Equal(t, 2, v.id, "and mykthread sleeps")

	for name, p := range map[string]place{"slot": &slot{}, "table": &table{}} {
		t.Run(name, func(t *testing.T) {
			s := serving(t, p)
			s.during[0] = func() { require.NoError(t, s.Post(2)) }
			require.NoError(t, s.Post(1))
			s.settle(t)
			require.Equal(t, []int{1, 2}, s.served)
			require.Zero(t, s.Overwritten())
		})
	}
}

func TestOverwritten(t *testing.T) {
	for name, want := range map[string]struct {
		served  []int
		counted uint64
	}{
		"variable": {[]int{3}, 0},
		"slot":     {[]int{3}, 2},
		"table":    {[]int{1, 2, 3}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := serving(t, places()[name])
			for id := 1; id <= 3; id++ {
				require.NoError(t, s.Post(id))
			}
			s.settle(t)
			require.Equal(t, want.served, s.served)
			require.Equal(t, want.counted, s.Overwritten())
		})
	}
}

// In the table two events of one id become one, which it counts as overwritten.
func TestSameIdAgain(t *testing.T) {
	s := serving(t, &table{})
	for _, id := range []int{1, 2, 1} {
		require.NoError(t, s.Post(id))
	}
	s.settle(t)
	require.Equal(t, []int{1, 2}, s.served)
	require.EqualValues(t, 1, s.Overwritten())
}

func TestStrayWakeUps(t *testing.T) {
	for name, want := range map[string][]int{
		"variable": {1, 1, 1},
		"slot":     {1},
		"table":    {1},
	} {
		t.Run(name, func(t *testing.T) {
			s := serving(t, places()[name])
			require.NoError(t, s.Post(1))
			s.settle(t)
			for range 2 {
				require.Equal(t, 1, s.WaitQueue().WakeUp())
				s.settle(t)
			}
			require.Equal(t, want, s.served)
		})
	}
}

// A sleepFirst clears the variable when it takes the event, so it serves no event
// twice. But it sleeps before it looks, so it does not notice event 3.
type sleepFirst struct{ variable }

func (v *sleepFirst) take(s onecpu.Sleeper) (id int, err error) {
	for id == 0 && err == nil {
		id, err = v.variable.take(s)
		v.id = 0
	}
	return id, err
}

func TestToTakeIsNotToLook(t *testing.T) {
	var out strings.Builder
	require.NoError(t, serve(&out, "sleepFirst", &sleepFirst{}))
	const row = "[2 3]        3       2    1       0     0\n"
	require.Equal(t, "sleepFirst    [2]          3       1    2       0     0\n"+
		"  a wake-up   "+row+"  a wake-up   "+row, out.String())
}

// A watched slot shows its event, which stays there. So a later post overwrites
// an event that the thread has seen.
type watched struct {
	rwevent.Slot[int]
	seen uint64
}

func (w *watched) take(by onecpu.Sleeper) (id int, err error) {
	id, w.seen, err = w.WaitBy(by, w.seen)
	return id, err
}

func TestToSeeIsNotToTake(t *testing.T) {
	var out strings.Builder
	require.NoError(t, serve(&out, "watched", &watched{}))
	const row = "[2 3]        3       2    1       2     0\n"
	require.Equal(t, "watched       "+row+"  a wake-up   "+row+"  a wake-up   "+row, out.String())
}
