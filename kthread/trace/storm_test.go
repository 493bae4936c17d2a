package trace_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/waitqueue"
)

// A storm is a busy program: threads, workqueues, names and goroutines that come and go.
type storm struct {
	q waitqueue.Queue
	n atomic.Int64
}

func (s *storm) odd() bool { return s.n.Load()%2 == 1 }

// act does one of the things that the program does all the time.
func (s *storm) act(i int) {
	ctx, cancel := context.WithTimeout(background, time.Millisecond)
	defer cancel()
	switch i % 6 {
	case 0:
		_ = kthread.Run(fmt.Sprint("thread/", i), func(cur *kthread.Current) error {
			return cur.WaitTimeout(&s.q, time.Millisecond, s.odd)
		}).Stop()
	case 1:
		_ = s.q.Wait(ctx, s.odd)
	case 2:
		ctx, stop := waitqueue.WithTask(ctx, "named")
		_ = s.q.WaitExclusive(ctx, s.odd)
		stop()
	case 3:
		w := kthread.AllocWorkqueue("mail", 2)
		w.Enqueue(&kthread.Work{Func: func() { trace.Instant("at work") }})
		_ = w.Destroy(background)
	default:
		trace.Begin("wake")
		s.n.Add(1)
		s.q.WakeUpAll()
		trace.End()
	}
}

// Traces, recorders, counters and regions begin and end at any moment of a busy program. parse
// checks each text.
func TestHammerStartAndStop(t *testing.T) {
	length := 2 * time.Second
	if testing.Short() {
		length = 200 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	s := &storm{q: waitqueue.Queue{Name: "door"}}
	var group sync.WaitGroup
	repeat := func(f func()) {
		group.Go(func() {
			for ctx.Err() == nil {
				f()
			}
		})
	}
	for i := range 64 {
		repeat(func() { s.act(i) })
	}
	repeat(func() { lookByTrace(t, s) })
	repeat(func() { lookByRecorder(t, s) })
	repeat(lookByNumbers)
	group.Wait()
}

func lookByTrace(t *testing.T, s *storm) {
	var b bytes.Buffer
	if err := trace.Start(&b); err != nil {
		t.Error(err)
	}
	s.act(1) // takes up to a millisecond
	if err := trace.Stop(); err != nil {
		t.Error(err)
	}
	parse(t, b.String())
}

func lookByRecorder(t *testing.T, s *storm) {
	f := trace.FlightRecorder{MaxBytes: 1 << 18}
	if err := f.Start(); err != nil {
		t.Error(err)
	}
	s.act(1)
	parse(t, dump(t, &f))
	s.act(1)
	f.Stop()
	parse(t, dump(t, &f))
}

func lookByNumbers() {
	trace.StartCounting()
	_, _ = trace.Queues(), trace.Tasks()
	_ = trace.WriteMetrics(io.Discard)
	trace.StopCounting()
	trace.SetRegions(true)
	trace.SetRegions(false)
}
