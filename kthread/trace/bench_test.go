package trace_test

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/waitqueue"
)

// pingPong has two threads, or two plain goroutines, wake each other n times. Each turn is two
// sleeps and two wake-ups.
func pingPong(n int, run func(name string, f func(wait func(*waitqueue.Queue, func() bool))) (join func())) {
	doors := [2]waitqueue.Queue{{Name: "ping"}, {Name: "pong"}}
	var turn atomic.Int32
	var joins [2]func()
	for me := range int32(2) {
		joins[me] = run([]string{"ping", "pong"}[me], func(wait func(*waitqueue.Queue, func() bool)) {
			mine := func() bool { return turn.Load() == me }
			for range n {
				wait(&doors[me], mine)
				turn.Store(1 - me)
				doors[1-me].WakeUp()
			}
		})
	}
	joins[0]()
	joins[1]()
}

func threads(name string, f func(wait func(*waitqueue.Queue, func() bool))) func() {
	th := kthread.Run(name, func(cur *kthread.Current) error {
		f(func(q *waitqueue.Queue, cond func() bool) { _ = cur.WaitExclusive(q, cond) })
		return nil
	})
	return func() { _ = th.Wait(background) }
}

func goroutines(_ string, f func(wait func(*waitqueue.Queue, func() bool))) func() {
	ctx, cancel := context.WithCancel(background)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(func(q *waitqueue.Queue, cond func() bool) { _ = q.WaitExclusive(ctx, cond) })
	}()
	return func() { <-done; cancel() }
}

// A lineCounter counts the lines of the threads, or of the goroutines, of a benchmark.
type lineCounter struct{ lines int }

func (c *lineCounter) Write(text []byte) (int, error) {
	c.lines += bytes.Count(text, []byte{'\n'})
	return len(text), nil
}

// The time of a turn while nothing looks, and while something does. A turn has two switches out,
// two wake-ups of three lines, and two switches in: six events, ten lines.
//
// No event of a trace is lost, so its time has the time of all its text. For that it ends before its
// memory is full. Its beginning, which makes that memory, is not timed.
func BenchmarkTurn(b *testing.B) {
	var written lineCounter
	look := map[string]func() (stop func()){
		"off":      func() func() { return func() {} },
		"trace":    func() func() { _ = trace.Start(&written); return func() { _ = trace.Stop() } },
		"recorder": func() func() { f := new(trace.FlightRecorder); _ = f.Start(); return f.Stop },
		"counting": func() func() { trace.StartCounting(); return trace.StopCounting },
	}
	for _, name := range []string{"off", "trace", "recorder", "counting"} {
		for kind, run := range map[string]func(string, func(func(*waitqueue.Queue, func() bool))) func(){"threads": threads, "goroutines": goroutines} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				const most = 9000
				written = lineCounter{}
				for left := b.N; left > 0; left -= most {
					b.StopTimer()
					stop := look[name]()
					b.StartTimer()
					pingPong(min(left, most), run)
					stop()
				}
				b.ReportMetric(float64(written.lines)/float64(b.N), "lines/op")
			})
		}
	}
}

// The time of a mark.
func BenchmarkInstant(b *testing.B) {
	b.Run("off", func(b *testing.B) {
		for b.Loop() {
			trace.Instant("now")
		}
	})
	b.Run("recorder", func(b *testing.B) {
		f := new(trace.FlightRecorder)
		_ = f.Start()
		defer f.Stop()
		for b.Loop() {
			trace.Instant("now")
		}
	})
}
