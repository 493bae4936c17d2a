package trace_test

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/waitqueue"
)

// A world has the data that the ways to sleep share.
type world struct {
	ctx   context.Context // can end
	q     waitqueue.Queue // with the name "door"
	ready atomic.Bool
	mu    sync.Mutex
	cond  waitqueue.Cond
	done  waitqueue.Completion
	task  waitqueue.Task
}

func (w *world) loop(schedule func()) {
	e := waitqueue.Entry{Task: &w.task}
	w.q.Add(&e)
	defer w.q.Remove(&e)
	for {
		w.task.SetState(waitqueue.Uninterruptible)
		if w.ready.Load() {
			break
		}
		schedule()
	}
	w.task.SetState(waitqueue.Running)
}

var background = context.Background()

// Each way to sleep is a sleep in the trace, and a wake-up by the waker.
var ways = map[string]struct {
	state, at string
	sleep     func(w *world)
}{
	"Wait":             {"D", "door", func(w *world) { _ = w.q.Wait(background, w.ready.Load) }},
	"Wait with an end": {"S", "door", func(w *world) { _ = w.q.Wait(w.ctx, w.ready.Load) }},
	"WaitExclusive":    {"S", "door", func(w *world) { _ = w.q.WaitExclusive(w.ctx, w.ready.Load) }},
	"WaitLocked":       {"D", "door", func(w *world) { w.mu.Lock(); _ = w.q.WaitLocked(background, &w.mu, w.ready.Load); w.mu.Unlock() }},
	"WaitAny":          {"S", "door", func(w *world) { _ = waitqueue.WaitAny(w.ctx, w.ready.Load, &w.q, new(waitqueue.Queue)) }},
	"WaitAny for ever": {"D", "door", func(w *world) { _ = waitqueue.WaitAny(background, w.ready.Load, &w.q) }},
	"Cond":             {"D", "", func(w *world) { w.mu.Lock(); _ = w.cond.Wait(background); w.mu.Unlock() }},
	"Cond with an end": {"S", "", func(w *world) { w.mu.Lock(); _ = w.cond.Wait(w.ctx); w.mu.Unlock() }},
	"Completion":       {"S", "", func(w *world) { _ = w.done.Wait(w.ctx) }},
	"Task.Wait":        {"S", "door", func(w *world) { _ = w.task.Wait(&w.q, w.ready.Load) }},
	"Task.WaitTimeout": {"S", "door", func(w *world) { _ = w.task.WaitTimeout(&w.q, time.Hour, w.ready.Load) }},
	"Task.WaitHeld":    {"S", "door", func(w *world) { w.q.Lock(); _ = w.task.WaitHeld(&w.q, w.ready.Load); w.q.Unlock() }},
	"Schedule":         {"D", "door", func(w *world) { w.loop(w.task.Schedule) }},
	"ScheduleTimeout":  {"D", "door", func(w *world) { w.loop(func() { w.task.ScheduleTimeout(time.Hour) }) }},
	"Prepare": {"S", "door", func(w *world) {
		e := waitqueue.Entry{Task: &w.task}
		w.q.Prepare(&e, waitqueue.Interruptible)
		w.task.Schedule()
		w.q.Finish(&e)
	}},
	"SetState before Add": {"D", "door", func(w *world) {
		e := waitqueue.Entry{Task: &w.task}
		w.task.SetState(waitqueue.Uninterruptible)
		w.q.Add(&e)
		w.task.Schedule()
		w.q.Remove(&e)
	}},
	"WokenEntry": {"S", "door", func(w *world) {
		e := waitqueue.NewWokenEntry(&w.task)
		w.q.Add(&e.Entry)
		e.Wait(waitqueue.Interruptible, time.Hour, nil)
		w.q.Remove(&e.Entry)
	}},
	"a context with a task": {"S", "door", func(w *world) {
		ctx, stop := waitqueue.WithTask(w.ctx, "")
		defer stop()
		_ = w.q.Wait(ctx, w.ready.Load)
	}},
}

func TestWaysToSleep(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			lines := traced(t, func(t *testing.T) {
				w := &world{ctx: t.Context(), q: waitqueue.Queue{Name: "door"}}
				w.cond.L = &w.mu
				go way.sleep(w)
				synctest.Wait()
				w.ready.Store(true)
				trace.Instant("wake") // makes the waker a lane
				w.q.WakeUp()
				w.cond.Signal()
				w.done.Complete()
				synctest.Wait()
			})
			at := ""
			if way.at != "" {
				at = " at " + way.at
			}
			require.Equal(t, "goroutine/1 sleeps "+way.state+"\ngoroutine/2 runs\ngoroutine/2 I|1|wake\ngoroutine/2 wakes goroutine/1"+at+
				"\ngoroutine/1 runs", story(lines))
		})
	}
}

// The ways of a thread.
func TestWaysOfAThread(t *testing.T) {
	for name, sleep := range map[string]func(w *world, cur *kthread.Current){
		"Wait":          func(w *world, cur *kthread.Current) { _ = cur.Wait(&w.q, w.ready.Load) },
		"WaitExclusive": func(w *world, cur *kthread.Current) { _ = cur.WaitExclusive(&w.q, w.ready.Load) },
		"WaitTimeout":   func(w *world, cur *kthread.Current) { _ = cur.WaitTimeout(&w.q, time.Hour, w.ready.Load) },
		"WaitLocked": func(w *world, cur *kthread.Current) {
			w.mu.Lock()
			_ = cur.WaitLocked(&w.q, &w.mu, w.ready.Load)
			w.mu.Unlock()
		},
		"Context": func(w *world, cur *kthread.Current) { _ = w.q.Wait(cur.Context(), w.ready.Load) },
	} {
		t.Run(name, func(t *testing.T) {
			lines := traced(t, func(t *testing.T) {
				w := &world{q: waitqueue.Queue{Name: "door"}}
				waiter := kthread.Run("waiter", func(cur *kthread.Current) error { sleep(w, cur); return nil })
				synctest.Wait()
				waker := kthread.Run("waker", func(*kthread.Current) error {
					w.ready.Store(true)
					w.q.WakeUp()
					return nil
				})
				require.NoError(t, waker.Wait(background))
				require.NoError(t, waiter.Wait(background))
			})
			said := story(lines, "goroutine/1")
			require.Contains(t, said, "waiter runs\nwaiter sleeps S\nwaker runs\nwaker wakes waiter at door\n")
			require.Contains(t, said, "\nwaiter runs\n")
			require.Contains(t, said, "\nwaiter sleeps X")
		})
	}
}

// Threads that do not wait with their own task share tasks, one after the other. Each sleep is in
// the lane of the thread that sleeps.
func TestThreadsWithoutTheirTask(t *testing.T) {
	for name, wait := range map[string]func(w *world){
		"Wait":    func(w *world) { _ = w.q.Wait(background, w.ready.Load) },
		"Context": func(w *world) { _ = w.q.Wait(w.ctx, w.ready.Load) },
		"WaitAny": func(w *world) { _ = waitqueue.WaitAny(background, w.ready.Load, &w.q) },
		"Cond":    func(w *world) { w.mu.Lock(); _ = w.cond.WaitFor(background, w.ready.Load); w.mu.Unlock() },
	} {
		t.Run(name, func(t *testing.T) {
			const threads = 20
			out := text(t, func(t *testing.T) {
				var all []*kthread.Thread
				for i := range threads {
					w := &world{ctx: t.Context()}
					w.cond.L = &w.mu
					all = append(all, kthread.Run(fmt.Sprint("waiter/", i), func(cur *kthread.Current) error {
						wait(w)
						<-cur.Context().Done()
						return nil
					}))
					synctest.Wait()
					w.ready.Store(true)
					w.q.WakeUp()
					w.cond.Signal()
					synctest.Wait()
				}
				for _, th := range all {
					require.NoError(t, th.Stop())
				}
			})
			parse(t, out)
			for i := range threads {
				require.Len(t, regexp.MustCompile(fmt.Sprintf(`: prev_comm=waiter/%d .* prev_state=[SD] `, i)).FindAllString(out, -1), 1)
			}
		})
	}
}

// A wait that is over leaves nothing behind in the tracer.
func TestWaitsAreForgotten(t *testing.T) {
	trace.StartCounting()
	defer trace.StopCounting()
	var before, after runtime.MemStats
	waits := func(cur *kthread.Current) error {
		runtime.GC()
		runtime.ReadMemStats(&before)
		for range 20_000 {
			tests := 0
			test := func() bool { tests++; return tests == 2 }
			if err := waitqueue.WaitAny(cur.Context(), test, new(waitqueue.Queue)); err != nil {
				return err
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		return nil
	}
	require.NoError(t, kthread.Run("waiter", waits).Wait(background))
	require.Less(t, int64(after.HeapAlloc-before.HeapAlloc), int64(1<<20))
}

// A timer, and the end of a context that carries a task, are the idle task.
func TestWakeUpByNobody(t *testing.T) {
	for name, sleep := range map[string]func(ctx context.Context){
		"ScheduleTimeout": func(context.Context) {
			var task waitqueue.Task
			task.SetState(waitqueue.Interruptible)
			task.ScheduleTimeout(time.Second)
		},
		"WaitTimeout": func(context.Context) {
			var task waitqueue.Task
			_ = task.WaitTimeout(new(waitqueue.Queue), time.Second, func() bool { return false })
		},
		"WithTask": func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			ctx, stop := waitqueue.WithTask(ctx, "")
			defer stop()
			_ = new(waitqueue.Queue).Wait(ctx, func() bool { return false })
		},
	} {
		t.Run(name, func(t *testing.T) {
			lines := traced(t, func(t *testing.T) { sleep(t.Context()) })
			require.Equal(t, "goroutine/1 sleeps S\n<idle> wakes goroutine/1\ngoroutine/1 runs", story(lines))
		})
	}
}

// A plain wait that its context ends runs without a wake-up.
func TestEndOfAContext(t *testing.T) {
	lines := traced(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Error(t, new(waitqueue.Queue).Wait(ctx, func() bool { return false }))
	})
	require.Equal(t, "goroutine/1 sleeps S\ngoroutine/1 runs", story(lines))
}

// A goroutine has the name of its task, also as a waker, until stop is called.
func TestNameOfATask(t *testing.T) {
	lines := traced(t, func(t *testing.T) {
		var q waitqueue.Queue
		var ready atomic.Bool
		go func() {
			ctx, stop := waitqueue.WithTask(t.Context(), "the worker with a long name")
			_ = q.Wait(ctx, ready.Load)
			ready.Store(false)
			time.Sleep(2 * time.Millisecond) // the other one waits
			q.WakeUp()
			time.Sleep(time.Millisecond)
			_ = q.Wait(ctx, ready.Load)
			stop()
			trace.Instant("without a name")
		}()
		synctest.Wait()
		ready.Store(true)
		q.WakeUp()
		time.Sleep(time.Millisecond)
		tests := 0
		require.NoError(t, q.Wait(background, func() bool { tests++; return tests == 3 }), "after a sleep")
		time.Sleep(2 * time.Millisecond)
		ready.Store(true)
		q.WakeUp()
		synctest.Wait()
	})
	require.Equal(t, `the_worker_with sleeps S
goroutine/1 runs
goroutine/1 wakes the_worker_with
the_worker_with runs
goroutine/1 sleeps D
the_worker_with wakes goroutine/1
goroutine/1 runs
the_worker_with sleeps S
goroutine/1 wakes the_worker_with
the_worker_with runs
the_worker_with sleeps X
goroutine/2 runs
goroutine/2 I|1|without a name`, story(lines))
}

// A goroutine that gets a name is not the goroutine without a name any more.
func TestNameThatComesLater(t *testing.T) {
	lines := traced(t, func(t *testing.T) {
		trace.Instant("without a name")
		ctx, stop := waitqueue.WithTask(t.Context(), "worker")
		defer stop()
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		require.Error(t, new(waitqueue.Queue).Wait(ctx, func() bool { return false }), "this wait goes the usual way")
		task := waitqueue.TaskOf(ctx)
		task.SetState(waitqueue.Interruptible)
		task.ScheduleTimeout(time.Second)
		trace.Instant("with a name")
	})
	require.Equal(t, `goroutine/1 runs
goroutine/1 I|1|without a name
goroutine/1 sleeps S
goroutine/1 runs
goroutine/1 sleeps X
worker sleeps S
<idle> wakes worker
worker runs
worker I|1|with a name
worker sleeps X`, story(lines))
}

// The goroutine that had the name before goes on without it.
func TestNameThatMovesOn(t *testing.T) {
	lines := traced(t, func(t *testing.T) {
		ctx, stop := waitqueue.WithTask(t.Context(), "worker")
		defer stop()
		var q waitqueue.Queue
		nap := func() {
			tests := 0
			defer time.AfterFunc(time.Second, func() { waitqueue.TaskOf(ctx).WakeUp(waitqueue.Normal) }).Stop()
			require.NoError(t, q.Wait(ctx, func() bool { tests++; return tests == 3 }))
		}
		nap()
		done := make(chan struct{})
		go func() { nap(); close(done) }()
		<-done
		trace.Instant("not the worker")
	})
	said := story(lines)
	require.NotContains(t, said, "worker I|1|not the worker")
	require.Contains(t, said, " I|1|not the worker")
}

// A name that moves on does not take the next name of the goroutine along.
func TestNameThatMovesOnAfterAnother(t *testing.T) {
	lines := traced(t, func(t *testing.T) {
		nap := func(ctx context.Context) {
			task := waitqueue.TaskOf(ctx)
			task.SetState(waitqueue.Interruptible)
			task.ScheduleTimeout(time.Second)
		}
		a, stopA := waitqueue.WithTask(t.Context(), "a")
		defer stopA()
		b, stopB := waitqueue.WithTask(t.Context(), "b")
		defer stopB()
		nap(a)
		nap(b)
		done := make(chan struct{})
		go func() { nap(a); close(done) }()
		<-done
		trace.Instant("still b")
	})
	require.Contains(t, story(lines), "\nb I|1|still b\n")
}

// A number of many digits does not make a name longer than readers take.
func TestNameOfAGoroutineAfterManyOthers(t *testing.T) {
	lines := traced(t, func(*testing.T) {
		trace.AfterGoroutines(99_998)
		for range 2 {
			done := make(chan struct{})
			go func() { trace.Instant("now"); close(done) }()
			trace.Instant("now")
			<-done
		}
	})
	require.Contains(t, story(lines), "goroutine/99999 I|1|now\n")
	require.Contains(t, story(lines), "g/100000 I|1|now\n")
}

// A goroutine may have two names in turn.
func TestTwoNamesOfAGoroutine(t *testing.T) {
	lines := traced(t, func(t *testing.T) {
		nap := func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			task := waitqueue.TaskOf(ctx)
			task.SetState(waitqueue.Interruptible)
			task.ScheduleTimeout(time.Second)
		}
		a, stopA := waitqueue.WithTask(t.Context(), "a")
		b, stopB := waitqueue.WithTask(t.Context(), "b")
		nap(a)
		nap(b)
		nap(a)
		stopA()
		stopB()
	})
	require.Equal(t, `a sleeps S
<idle> wakes a
a runs
b sleeps S
<idle> wakes b
b runs
a sleeps S
<idle> wakes a
a runs
a sleeps X
b sleeps X`, story(lines))
}

// The goroutine of a timer ends. A later goroutine is not taken for it.
func TestWakerAfterATimer(t *testing.T) {
	lines := traced(t, func(t *testing.T) {
		for range 100 {
			var task waitqueue.Task
			task.SetState(waitqueue.Interruptible)
			task.ScheduleTimeout(time.Second)
			task.SetState(waitqueue.Interruptible)
			go func() {
				time.Sleep(time.Second)
				task.WakeUp(waitqueue.Normal)
			}()
			task.Schedule()
		}
	})
	require.Equal(t, 100, strings.Count(story(lines), "<idle> wakes goroutine/1\n"))
	require.Equal(t, 200, strings.Count(story(lines), " wakes goroutine/1\n"))
}

// A task that is given up during a wait keeps its lane until the wait is over.
func TestStopOfATaskInAWait(t *testing.T) {
	lines := traced(t, func(t *testing.T) {
		var q waitqueue.Queue
		var ready atomic.Bool
		ctx, stop := waitqueue.WithTask(t.Context(), "worker")
		go func() { _ = q.Wait(ctx, ready.Load) }()
		synctest.Wait()
		stop()
		ready.Store(true)
		q.WakeUp()
		synctest.Wait()
	})
	require.Equal(t, "worker sleeps S\ngoroutine/1 runs\ngoroutine/1 wakes worker\nworker runs", story(lines))
}

// A waiter that has announced its sleep, and tests its condition, does not sleep at the end.
func TestAnnouncementAtTheEnd(t *testing.T) {
	lines := traced(t, func(t *testing.T) {
		q := waitqueue.Queue{Name: "door"}
		tests := 0
		trace.Instant("before")
		require.NoError(t, q.Wait(background, func() bool {
			if tests++; tests == 2 {
				require.NoError(t, trace.Stop())
			}
			return tests == 2
		}))
	})
	require.Equal(t, "goroutine/1 runs\ngoroutine/1 I|1|before", story(lines))
}

// A thread that waits with a named task is still that thread.
func TestThreadWithANamedTask(t *testing.T) {
	lines := traced(t, func(t *testing.T) {
		q := waitqueue.Queue{Name: "door"}
		var ready atomic.Bool
		th := kthread.Run("thread", func(*kthread.Current) error {
			ctx, stop := waitqueue.WithTask(t.Context(), "worker")
			defer stop()
			return q.Wait(ctx, ready.Load)
		})
		synctest.Wait()
		ready.Store(true)
		q.WakeUp()
		require.NoError(t, th.Wait(background))
	})
	said := story(lines, "goroutine/1")
	require.Equal(t, "thread runs\nthread sleeps S\nthread runs\nthread sleeps X", said)
}

// A sleep that is not over at the end says where it is. So does one in a dump.
func TestSleepThatDoesNotEnd(t *testing.T) {
	var b bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		var f trace.FlightRecorder
		require.NoError(t, trace.Start(&b))
		require.NoError(t, f.Start())
		defer f.Stop()
		q := waitqueue.Queue{Name: "door"}
		var unnamed waitqueue.Queue
		var ready atomic.Bool
		for range 2 {
			go func() { _ = q.Wait(background, ready.Load) }()
			synctest.Wait()
		}
		go func() { _ = unnamed.Wait(background, ready.Load) }()
		synctest.Wait()
		require.NoError(t, trace.Stop())
		want := "goroutine/1 sleeps D\ngoroutine/2 sleeps D\ngoroutine/3 sleeps D\n2000000001 still sleeps at door\n2000000002 still sleeps at door"
		require.Equal(t, want, story(parse(t, b.String())))
		require.Equal(t, want, story(parse(t, dump(t, &f))))
		f.Stop()
		ready.Store(true)
		q.WakeUpAll()
		unnamed.WakeUp()
		synctest.Wait()
		require.Equal(t, want, story(parse(t, dump(t, &f))), "as it was at Stop")
		require.NoError(t, f.Start())
		require.NotContains(t, dump(t, &f), "sched_blocked_reason")
	})
}

// A tracer that began by the clock outside of a bubble tells nothing of the bubble.
func TestOtherClock(t *testing.T) {
	trace.SetRegions(true)
	defer trace.SetRegions(false)
	synctest.Test(t, func(t *testing.T) {
		require.ErrorIs(t, trace.Start(new(bytes.Buffer)), syscall.EBUSY)
		require.ErrorIs(t, new(trace.FlightRecorder).Start(), syscall.EBUSY)
	})
	require.NoError(t, trace.Start(new(bytes.Buffer)))
	require.NoError(t, trace.Stop())
}
