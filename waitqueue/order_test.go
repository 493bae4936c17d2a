package waitqueue_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// The tests of this file check the memory model of the package doc. The waker writes a plain
// variable, and the waiter reads it. Only the package orders the two, because the conditions
// read only variables of the waiter. If the order is lost, the race detector fails the test.
// Without the race detector these tests show little.

// secondTest is a condition that is false until the wait has slept once. It reads
// no variable of the waker.
func secondTest(tests *int) func() bool {
	return func() bool { *tests++; return *tests > 2 }
}

// An ordering is a sleep, and the wake-up that ends it.
type ordering struct {
	sleep func() error
	wake  func()
}

func orderings(ctx context.Context) map[string]func() ordering {
	var task waitqueue.Task
	queue := func(sleep func(q *waitqueue.Queue, cond func() bool) error, wake func(q *waitqueue.Queue)) func() ordering {
		return func() ordering {
			q, tests := new(waitqueue.Queue), 0
			return ordering{
				sleep: func() error { return sleep(q, secondTest(&tests)) },
				wake:  func() { wake(q) },
			}
		}
	}
	wakeUp := func(q *waitqueue.Queue) { q.WakeUp() }
	cond := func(ctx context.Context, wake func(*waitqueue.Cond)) func() ordering {
		return func() ordering {
			c := waitqueue.NewCond(noLock{})
			return ordering{sleep: func() error { return c.Wait(ctx) }, wake: func() { wake(c) }}
		}
	}
	scheduled := func(put func(q *waitqueue.Queue, e *waitqueue.Entry)) func() ordering {
		return queue(func(q *waitqueue.Queue, _ func() bool) error {
			e := waitqueue.Entry{Task: &task}
			put(q, &e)
			task.Schedule()
			return nil // Remove would take the lock of the queue
		}, wakeUp)
	}
	background := context.Background()
	carrier, _ := waitqueue.WithTask(ctx, "")
	return map[string]func() ordering{
		"Wait, WithTask":           queue(func(q *waitqueue.Queue, cond func() bool) error { return q.Wait(carrier, cond) }, wakeUp),
		"Cond.Signal, WithTask":    cond(carrier, (*waitqueue.Cond).Signal),
		"Cond.Broadcast, WithTask": cond(carrier, (*waitqueue.Cond).Broadcast),
		"Wait":                     queue(func(q *waitqueue.Queue, cond func() bool) error { return q.Wait(background, cond) }, wakeUp),
		"Wait, ctx": queue(func(q *waitqueue.Queue, cond func() bool) error {
			return q.Wait(ctx, cond)
		}, func(q *waitqueue.Queue) { q.WakeUpAll() }),
		"WaitExclusive": queue(func(q *waitqueue.Queue, cond func() bool) error {
			return q.WaitExclusive(background, cond)
		}, func(q *waitqueue.Queue) { q.WakeUpN(1) }),
		"WaitExclusive, ctx": queue(func(q *waitqueue.Queue, cond func() bool) error {
			return q.WaitExclusive(ctx, cond)
		}, func(q *waitqueue.Queue) { q.WakeUpInterruptible() }),
		"WaitLocked": queue(func(q *waitqueue.Queue, cond func() bool) error {
			return q.WaitLocked(background, noLock{}, cond)
		}, func(q *waitqueue.Queue) { q.WakeMask(waitqueue.Normal, 0, nil) }),
		"WaitAny": queue(func(q *waitqueue.Queue, cond func() bool) error {
			return waitqueue.WaitAny(ctx, cond, new(waitqueue.Queue), q)
		}, wakeUp),
		"Task.Wait":          queue(func(q *waitqueue.Queue, cond func() bool) error { return task.Wait(q, cond) }, wakeUp),
		"Task.WaitExclusive": queue(func(q *waitqueue.Queue, cond func() bool) error { return task.WaitExclusive(q, cond) }, wakeUp),
		"Task.WakeUp":        queue(func(q *waitqueue.Queue, cond func() bool) error { return task.Wait(q, cond) }, func(*waitqueue.Queue) { task.WakeUp(waitqueue.Normal) }),
		"Task.Interrupt": queue(func(q *waitqueue.Queue, _ func() bool) error {
			defer task.ClearInterrupt()
			if err := task.Wait(q, never); err == nil {
				panic("not interrupted")
			}
			return nil
		}, func(*waitqueue.Queue) { task.Interrupt() }),
		"Schedule, Prepare": scheduled(func(q *waitqueue.Queue, e *waitqueue.Entry) { q.Prepare(e, waitqueue.Interruptible) }),
		"Schedule, Add": scheduled(func(q *waitqueue.Queue, e *waitqueue.Entry) {
			q.AddExclusive(e)
			task.SetState(waitqueue.Uninterruptible)
		}),
		"Cond.Signal":         cond(background, (*waitqueue.Cond).Signal),
		"Cond.Signal, ctx":    cond(ctx, (*waitqueue.Cond).Signal),
		"Cond.Broadcast":      cond(background, (*waitqueue.Cond).Broadcast),
		"Cond.Broadcast, ctx": cond(ctx, (*waitqueue.Cond).Broadcast),
	}
}

// noLock orders nothing, so that a Cond has to.
type noLock struct{}

func (noLock) Lock()   {}
func (noLock) Unlock() {}

// The waiter sees the writes of the waker before the wake-up, after the sleep that the
// wake-up ended.
func TestWakeUpIsSynchronizedBeforeTheEndOfTheSleep(t *testing.T) {
	for name := range orderings(t.Context()) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for range 20 {
					o, plain := orderings(t.Context())[name](), 0
					result := make(chan int, 1)
					go func() {
						if o.sleep() == nil {
							result <- plain
						}
					}()
					synctest.Wait()
					plain = 9527
					o.wake()
					require.Equal(t, 9527, <-result)
				}
			})
		})
	}
}

// The wake-up comes when the sleep is announced and has not begun. The condition reads no
// variable of the waker here either.
func TestWakeUpBeforeTheSleepIsSynchronizedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var task waitqueue.Task
		carrier, _ := waitqueue.WithTask(ctx, "")
		for name, wait := range map[string]func(q *waitqueue.Queue, cond func() bool) error{
			"background": func(q *waitqueue.Queue, cond func() bool) error { return q.Wait(context.Background(), cond) },
			"ctx":        func(q *waitqueue.Queue, cond func() bool) error { return q.WaitExclusive(ctx, cond) },
			"task":       func(q *waitqueue.Queue, cond func() bool) error { return task.Wait(q, cond) },
			"WithTask":   func(q *waitqueue.Queue, cond func() bool) error { return q.Wait(carrier, cond) },
		} {
			var q waitqueue.Queue
			tests, plain := 0, 0
			require.NoError(t, wait(&q, func() bool {
				switch tests++; tests {
				case 1:
					return false
				case 2:
					go func() {
						plain = 9527
						q.WakeUp()
					}()
					time.Sleep(time.Second) // until the waker is gone, which orders nothing
					return false
				}
				return true
			}))
			require.Equal(t, 9527, plain, name)
		}
	})
}

// A goroutine takes a token, or IsDone reports the token to it. Then it sees the writes before
// the Complete.
func TestCompleteIsSynchronizedBeforeTheTakingOfItsToken(t *testing.T) {
	for name, complete := range map[string]func(*waitqueue.Completion){
		"Complete":    (*waitqueue.Completion).Complete,
		"CompleteAll": (*waitqueue.Completion).CompleteAll,
	} {
		for kind, take := range map[string]func(c *waitqueue.Completion){
			"Wait": func(c *waitqueue.Completion) { _ = c.Wait(context.Background()) },
			"TryWait": func(c *waitqueue.Completion) {
				for !c.TryWait() {
					runtime.Gosched()
				}
			},
			"IsDone": func(c *waitqueue.Completion) {
				for !c.IsDone() {
					runtime.Gosched()
				}
			},
			"Task": func(c *waitqueue.Completion) {
				_ = new(waitqueue.Task).WaitExclusive(c.WaitQueue(), c.TryWait)
			},
		} {
			for range 100 {
				var c waitqueue.Completion
				plain := 0
				go func() {
					plain = 9527
					complete(&c)
				}()
				take(&c)
				require.Equal(t, 9527, plain, "%s, %s", name, kind)
			}
		}
	}
}
