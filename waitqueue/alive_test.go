package waitqueue_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/collected"
	"github.com/kprim/kprim/waitqueue"
)

// A device has a queue and much memory of its own.
type device struct {
	queue waitqueue.Queue
	ready atomic.Bool
	_     [1 << 16]byte
}

// wakeWhenActive waits until d has a waiter. Then it sets the condition and wakes the waiter.
func wakeWhenActive(d *device) {
	for !d.queue.Active() {
		runtime.Gosched()
	}
	d.ready.Store(true)
	for d.queue.WakeUp() == 0 && d.queue.Active() {
		runtime.Gosched()
	}
}

// A task and an entry outlive their last wait. They keep neither its queue nor the struct
// around it alive. That holds for each way to wait and to end a wait.
func TestTaskAndEntryKeepNoQueueAlive(t *testing.T) {
	var task waitqueue.Task
	entry := waitqueue.Entry{Task: &task}
	loop := func(d *device, put func(*waitqueue.Entry), take func(*waitqueue.Entry)) {
		for {
			put(&entry)
			task.SetState(waitqueue.Interruptible)
			if d.ready.Load() {
				break
			}
			task.Schedule()
		}
		task.SetState(waitqueue.Running)
		take(&entry)
	}
	woken := func(wait func(*device)) func(*device) {
		return func(d *device) {
			go wakeWhenActive(d)
			wait(d)
		}
	}
	once := func(add func(*waitqueue.Entry)) func(*waitqueue.Entry) {
		added := false
		return func(e *waitqueue.Entry) {
			if !added {
				add(e)
			}
			added = true
		}
	}
	for name, use := range map[string]func(*device){
		"Task.Wait":          woken(func(d *device) { _ = task.Wait(&d.queue, d.ready.Load) }),
		"Task.WaitExclusive": woken(func(d *device) { _ = task.WaitExclusive(&d.queue, d.ready.Load) }),
		"interrupted": func(d *device) {
			go func() {
				for !d.queue.Active() {
					runtime.Gosched()
				}
				task.Interrupt()
			}()
			require.ErrorIs(t, task.Wait(&d.queue, never), syscall.EINTR)
			task.ClearInterrupt()
		},
		"interrupted before": func(d *device) {
			task.Interrupt()
			require.ErrorIs(t, task.Wait(&d.queue, never), syscall.EINTR)
			task.ClearInterrupt()
		},
		"true at once": func(d *device) { _ = task.Wait(&d.queue, func() bool { return true }) },
		"true on the way": func(d *device) {
			tests := 0
			_ = task.Wait(&d.queue, func() bool { tests++; return tests == 2 })
		},
		"condition panics": func(d *device) {
			tests := 0
			require.Panics(t, func() {
				_ = task.Wait(&d.queue, func() bool {
					if tests++; tests == 2 {
						panic("in cond")
					}
					return false
				})
			})
		},
		"condition that waits": func(d *device) {
			inner := waitqueue.Queue{Name: "inner"}
			_ = task.Wait(&d.queue, func() bool {
				tests := 0
				return task.Wait(&inner, func() bool { tests++; return tests == 2 }) == nil
			})
		},
		"Add": woken(func(d *device) { loop(d, once(d.queue.Add), d.queue.Remove) }),
		"AddPriorityExclusive": woken(func(d *device) {
			loop(d, once(func(e *waitqueue.Entry) { _ = d.queue.AddPriorityExclusive(e) }), d.queue.Remove)
		}),
		"Prepare": woken(func(d *device) {
			loop(d, func(e *waitqueue.Entry) { d.queue.Prepare(e, waitqueue.Interruptible) }, d.queue.Finish)
		}),
		"Prepare, and gone on": func(d *device) {
			d.queue.Prepare(&entry, waitqueue.Interruptible)
			d.queue.WakeUp()
			d.queue.Finish(&entry)
		},
		"a busy priority": func(d *device) {
			require.NoError(t, d.queue.AddPriorityExclusive(&waitqueue.Entry{Task: new(waitqueue.Task)}))
			require.ErrorIs(t, d.queue.AddPriorityExclusive(&entry), syscall.EBUSY)
		},
		"an entry that moved": func(d *device) {
			var other waitqueue.Queue
			d.queue.Prepare(&entry, waitqueue.Interruptible)
			d.queue.WakeUp()
			other.Prepare(&entry, waitqueue.Interruptible)
			other.Finish(&entry)
		},
	} {
		for _, queue := range []string{"", "pipe_wait"} {
			t.Run(name+"/"+queue, func(t *testing.T) {
				p := func() weak.Pointer[device] {
					d := new(device)
					d.queue.Name = queue
					use(d)
					return weak.Make(d)
				}()
				require.True(t, collected.Soon(p), "the queue is kept alive")
				runtime.KeepAlive(&task)
				runtime.KeepAlive(&entry)
			})
		}
	}
}

// The same for the tasks and entries in the pools of plain waits.
func TestPlainWaitKeepsNoQueueAlive(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for name, wait := range map[string]func(d *device){
		"background": func(d *device) { _ = d.queue.Wait(context.Background(), d.ready.Load) },
		"context":    func(d *device) { _ = d.queue.WaitExclusive(ctx, d.ready.Load) },
		"any":        func(d *device) { _ = waitqueue.WaitAny(ctx, d.ready.Load, &d.queue, new(waitqueue.Queue)) },
		"gives up": func(d *device) {
			ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			_ = d.queue.Wait(ctx, never)
			// The waker may come only now, and looks for somebody to wake.
			woken := func(*waitqueue.Entry, waitqueue.State, any) int { return 1 }
			d.queue.Add(&waitqueue.Entry{Task: new(waitqueue.Task), Func: woken})
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := func() weak.Pointer[device] {
				d := &device{queue: waitqueue.Queue{Name: "pipe_wait"}}
				done := make(chan struct{})
				go func() { defer close(done); wakeWhenActive(d) }()
				wait(d)
				<-done
				return weak.Make(d)
			}()
			require.True(t, collected.Soon(p), "the queue is kept alive")
		})
	}
}
