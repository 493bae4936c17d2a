package trace_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// asleepIn returns the lanes that sleep at the end of a trace.
func asleepIn(lines []line) (names []string) {
	for _, l := range lines {
		if l.event != "sched_switch" {
			continue
		}
		name := l.args["prev_comm"]
		if l.pid == 0 {
			name = l.args["next_comm"]
		}
		names = slices.DeleteFunc(names, func(other string) bool { return other == name })
		if l.pid != 0 && l.args["prev_state"] != "X" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// A scene is the data of a model: takers, each of which needs one of the tokens.
type scene struct {
	m      *explore.Model
	text   bytes.Buffer
	q      waitqueue.Queue
	mu     *explore.Lock
	cond   *waitqueue.Cond
	tokens atomic.Int32
	woken  int
	exact  bool // each wake-up ends a sleep, and is counted in woken
}

func (s *scene) take() bool {
	n := s.tokens.Load()
	return n > 0 && s.tokens.CompareAndSwap(n, n-1)
}

// put adds a token, and wakes a taker.
func (s *scene) put() {
	s.mu.Lock()
	s.tokens.Add(1)
	s.mu.Unlock()
	s.woken += s.q.WakeUp()
	s.cond.Signal()
}

// Go adds a goroutine, whose lane has a mark with its name.
func (s *scene) Go(name string, f func()) {
	s.m.Go(name, func(th *explore.Thread) {
		trace.Instant(name)
		th.Step("begin")
		f()
	})
}

// compare ends the trace, and compares it with the explorer, which knows the sleepers, and with
// the program, which knows the wake-ups.
func (s *scene) compare(t *testing.T) error {
	if err := trace.Stop(); err != nil {
		return err
	}
	lines := parse(t, s.text.String())
	names := map[string]string{}
	wakings := 0
	for _, l := range lines {
		if name, ok := strings.CutPrefix(l.details, "I|1|"); ok {
			names[l.task] = name
		}
		if l.event == "sched_waking" && names[l.task] == "waker" {
			wakings++
		}
	}
	var in []string
	for _, lane := range asleepIn(lines) {
		in = append(in, names[lane])
	}
	slices.Sort(in)
	asleep := s.m.Asleep()
	slices.Sort(asleep)
	if !slices.Equal(in, asleep) {
		return fmt.Errorf("asleep: %q, and in the trace: %q\n%s", asleep, in, story(lines))
	}
	if s.exact && wakings != s.woken {
		return fmt.Errorf("%d wake-ups, and in the trace %d\n%s", s.woken, wakings, story(lines))
	}
	return nil
}

// In every order of two takers and a waker, the trace has the sleepers and the wake-ups that
// the program had, and each wake-up is behind the sleep that it ends.
func TestInterleavingsTakers(t *testing.T) {
	withTask := func(s *scene, wait func(ctx context.Context)) {
		ctx, stop := waitqueue.WithTask(s.m.Context(), "")
		defer stop()
		wait(ctx)
	}
	for kind, wait := range map[string]func(s *scene){
		"background":    func(s *scene) { _ = s.q.WaitExclusive(background, s.take) },
		"context":       func(s *scene) { _ = s.q.WaitExclusive(s.m.Context(), s.take) },
		"task":          func(s *scene) { withTask(s, func(ctx context.Context) { _ = s.q.WaitExclusive(ctx, s.take) }) },
		"herd":          func(s *scene) { _ = s.q.Wait(s.m.Context(), s.take) },
		"herd of tasks": func(s *scene) { withTask(s, func(ctx context.Context) { _ = s.q.Wait(ctx, s.take) }) },
		"Cond": func(s *scene) {
			s.mu.Lock()
			defer s.mu.Unlock()
			_ = s.cond.WaitFor(background, s.take)
		},
		"Schedule": func(s *scene) {
			task := new(waitqueue.Task)
			e := waitqueue.Entry{Task: task}
			for {
				s.q.PrepareExclusive(&e, waitqueue.Uninterruptible)
				if s.take() {
					break
				}
				task.Schedule()
			}
			s.q.Finish(&e)
		},
	} {
		t.Run(kind, func(t *testing.T) {
			points := []string{"commit", "awake", "unpark"}
			if kind == "context" || kind == "herd" {
				points = []string{"tested", "awake", "unpark"}
			}
			want := map[string]int{
				"background": 114, "context": 102, "task": 114, "herd": 184, "herd of tasks": 198, "Cond": 570, "Schedule": 114,
			}[kind]
			explore.Search{Points: points, Preemptions: 3, Want: want}.Test(t, func(m *explore.Model) {
				s := &scene{m: m, mu: m.NewLock(), exact: kind != "Cond"} // Signal does not tell
				s.cond = waitqueue.NewCond(s.mu)
				require.NoError(t, trace.Start(&s.text))
				m.MaySleep("A", "B")
				s.Go("A", func() { wait(s) })
				s.Go("B", func() { wait(s) })
				s.Go("waker", s.put)
				m.Check(func() error {
					if len(m.Asleep()) != 1 {
						return errors.New("one taker sleeps at the end")
					}
					return s.compare(t)
				})
				m.Release(s.put)
			})
		})
	}
}

// The same with the end of a context, and a second token.
func TestInterleavingsCancel(t *testing.T) {
	for withTask, want := range map[bool]int{false: 2167, true: 1606} {
		t.Run(fmt.Sprint("task ", withTask), func(t *testing.T) {
			explore.Search{Points: []string{"tested", "sampled", "awake", "unpark"}, Preemptions: 3, Want: want}.Test(t, func(m *explore.Model) {
				s := &scene{m: m, mu: m.NewLock()} // a waiter that was ended can be picked too
				s.cond = waitqueue.NewCond(s.mu)
				require.NoError(t, trace.Start(&s.text))
				m.MaySleep("A", "B")
				ctx, cancel := context.WithCancel(m.Context())
				if withTask {
					ctx, _ = waitqueue.WithTask(ctx, "")
				}
				s.Go("A", func() { _ = s.q.WaitExclusive(ctx, s.take) })
				s.Go("B", func() { _ = s.q.WaitExclusive(m.Context(), s.take) })
				s.Go("waker", s.put)
				m.Event("cancel", cancel)
				m.Check(func() error { return s.compare(t) })
			})
		})
	}
}
