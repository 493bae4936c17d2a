package kthreadexpvar_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/kthreadexpvar"
	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/waitqueue"
)

// shown returns the variable with the thread's pid as PID.
func shown(thread *kthread.Thread) string {
	return strings.ReplaceAll(kthreadexpvar.Func().String(), fmt.Sprintf(`"pid":%d`, thread.Info().Pid), `"pid":PID`)
}

func TestThreadsAndQueues(t *testing.T) {
	require.JSONEq(t, `{"threads": []}`, kthreadexpvar.Func().String(), "an empty list is no null")
	synctest.Test(t, func(t *testing.T) {
		mail := waitqueue.Queue{Name: "mail"}
		thread := kthread.Run("flushd", func(cur *kthread.Current) error { return cur.Wait(&mail, cur.ShouldStop) })
		time.Sleep(time.Minute)
		require.Equal(t, `{"threads":[{"pid":PID,"name":"flushd","state":"S","wchan":"mail","age_seconds":60,"wakeups":1}]}`, shown(thread))

		trace.StartCounting()
		defer trace.StopCounting()
		mail.WakeUp() // the condition is false yet
		synctest.Wait()
		mail.WakeUp()
		time.Sleep(1500 * time.Millisecond)
		require.Equal(t, `{"threads":[{"pid":PID,"name":"flushd","state":"S","wchan":"mail","age_seconds":61.5,"wakeups":3,"spurious":2}],`+
			`"queues":{"mail":{"waiters":1,"wakeups":2,"spurious":2,"longest_sleep_seconds":1.5}}}`, shown(thread))
		require.NoError(t, thread.Stop())
	})
}

// A thread that ends, and counting that stops, may come between two parts of a call.
func TestWhileThreadsComeAndGo(t *testing.T) {
	var comers, readers sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for view := kthreadexpvar.Func(); ; {
				_ = view.String()
				select {
				case <-done:
					return
				default:
					runtime.Gosched() // js has no preemption
				}
			}
		})
	}
	comers.Go(func() {
		var q waitqueue.Queue
		for range 200 {
			trace.StartCounting()
			thread := kthread.Run("comer", func(cur *kthread.Current) error { return cur.Wait(&q, cur.ShouldStop) })
			trace.StopCounting()
			_ = thread.Stop()
		}
	})
	comers.Wait()
	close(done)
	readers.Wait()
}
