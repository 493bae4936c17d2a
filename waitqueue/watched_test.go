package waitqueue_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/watch"
	"github.com/kprim/kprim/waitqueue"
)

// A log is a tracer that notes each call.
type log struct {
	mu    sync.Mutex
	said  []string
	state func() string // as a goroutine that looks would see it now
}

func (l *log) say(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, what+l.state())
}

func (l *log) watcher() *watch.Watcher {
	one := func(what string) func(any) { return func(any) { l.say(what) } }
	return &watch.Watcher{
		Announce: func(any, string, string, uint32) { l.say("announce") },
		Place:    func(any, string) { l.say("place") },
		Asleep:   one("asleep"), Awake: one("awake"), Over: one("over"), Wake: one("wake"),
		Hold: func() { l.say("hold") }, Release: func() { l.say("release") },
		Idle: func(wake func()) { wake() }, Forget: func(any) {},
	}
}

// told returns the calls for a sleep, and for the wake-up that ends it.
func told(t *testing.T, state func() string, sleep func(ctx context.Context), wake func()) []string {
	l := &log{state: state}
	synctest.Test(t, func(t *testing.T) {
		watch.Set(l.watcher())
		defer watch.Set(nil)
		go sleep(t.Context())
		synctest.Wait()
		wake()
		synctest.Wait()
	})
	return l.said
}

// A tracer hears of an announcement before a waker can find it, and of a claim before the
// sleeper can go on. Otherwise a wake-up would be told of no sleep, or of the next one.
func TestTracerIsToldInTime(t *testing.T) {
	var q waitqueue.Queue
	var task waitqueue.Task
	ready := false
	test := func() bool { return ready }
	wake := func() { ready = true; q.WakeUp() }
	state := func() string { return " " + task.State().String()[:1] }
	want := []string{"announce R", "asleep S", "hold S", "wake R", "release R", "awake R", "over R"}
	for name, sleep := range map[string]func(context.Context){
		"Wait":     func(context.Context) { _ = task.Wait(&q, test) },
		"WaitHeld": func(context.Context) { q.Lock(); _ = task.WaitHeld(&q, test); q.Unlock() },
		"Schedule": func(context.Context) {
			e := waitqueue.Entry{Task: &task}
			q.Add(&e)
			task.SetState(waitqueue.Interruptible)
			task.Schedule()
			q.Remove(&e)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ready = false
			said := told(t, state, sleep, wake)
			if name == "Schedule" { // each sleep is a wait of its own
				said = slices.Insert(said, 5, "awake R")
			}
			require.Equal(t, want, said)
		})
	}
}

// The same for a waiter without a task, which a waker finds on the queue.
func TestTracerIsToldOfAPlainWait(t *testing.T) {
	var q waitqueue.Queue
	ready := false
	test := func() bool { return ready }
	wake := func() { ready = true; q.WakeUp() }
	none := func() string { return "" }
	for name, sleep := range map[string]func(ctx context.Context){
		"Wait":    func(ctx context.Context) { _ = q.Wait(ctx, test) },
		"WaitAny": func(ctx context.Context) { _ = waitqueue.WaitAny(ctx, test, &q) },
	} {
		t.Run(name, func(t *testing.T) {
			ready = false
			said := told(t, none, sleep, wake)
			require.Equal(t, []string{"announce", "asleep", "hold", "wake", "release", "awake", "over"}, said)
		})
	}
	t.Run("Cond", func(t *testing.T) {
		var mu sync.Mutex
		c := waitqueue.NewCond(&mu)
		wait := func(ctx context.Context) { mu.Lock(); _ = c.Wait(ctx); mu.Unlock() }
		forever := func(context.Context) { wait(context.Background()) }
		for _, sleep := range []func(context.Context){wait, forever} {
			said := told(t, none, sleep, c.Signal)
			require.Equal(t, []string{"announce", "asleep", "hold", "wake", "release", "over"}, said)
		}
	})
}
