package kthread_test

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

func TestThreadsOfAWorkqueueComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue(t, 4)
		require.Empty(t, kworkers())
		for range 2 {
			works := holdAll(t, q, 3)
			require.Equal(t, "RRR", lettersOf(kworkers()))
			require.Equal(t, "kworker/test", kworkers()[0].Name)
			for _, k := range works {
				k.end()
			}
			synctest.Wait()
			require.Equal(t, "III", lettersOf(kworkers()))
			require.Equal(t, "workqueue", kworkers()[0].Wchan)
			pass(10*time.Second - 1)
			require.Len(t, kworkers(), 3)
			pass(10*time.Second + 1)
			require.Empty(t, kworkers())
		}
	})
}

// One that works now and then stays, and the others go.
func TestThreadThatIsUsedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, runs := newWorkqueue(t, 4), 0
		for _, k := range holdAll(t, q, 4) {
			k.end()
		}
		synctest.Wait()
		pids := map[int]bool{}
		for range 10 {
			pass(5 * time.Second)
			k := runHeld(t, q)
			for _, info := range kworkers() {
				if info.State == waitqueue.Running {
					pids[info.Pid] = true
				}
			}
			k.end()
			runs++
		}
		require.Len(t, pids, 1, "the last one that went to sleep is woken")
		synctest.Wait()
		require.Len(t, kworkers(), 1)
	})
}

// A workqueue that the program drops leaves no thread.
func TestWorkqueueThatIsDroppedIsCollected(t *testing.T) {
	var collected atomic.Bool
	synctest.Test(t, func(t *testing.T) {
		q := kthread.AllocWorkqueue("dropped", 2)
		for _, k := range holdAll(t, q, 2) {
			k.end()
		}
		runtime.AddCleanup(q, func(int) { collected.Store(true) }, 0)
		pass(time.Minute)
		require.Empty(t, kworkers())
	})
	require.Eventually(t, func() bool {
		runtime.GC()
		return collected.Load()
	}, 5*time.Second, time.Millisecond)
}

// So is one that is destroyed, though threads were idle just now.
func TestWorkqueueThatIsDestroyedIsCollected(t *testing.T) {
	var collected atomic.Bool
	q, runs := kthread.AllocWorkqueue("destroyed", 2), 0
	k := counter(&runs)
	for range 2 {
		require.True(t, q.Enqueue(k))
		require.NoError(t, q.Drain(t.Context()))
	}
	require.Eventually(t, func() bool { return !strings.Contains(lettersOf(kworkers()), "R") }, time.Second, time.Millisecond)
	runtime.AddCleanup(q, func(int) { collected.Store(true) }, 0)
	require.NoError(t, q.Destroy(t.Context()))
	q, k = nil, nil
	require.Eventually(t, func() bool {
		runtime.GC()
		return collected.Load()
	}, 5*time.Second, time.Millisecond)
}

// Destroy waits for the threads too that have gone idle before it.
func TestHammerDestroyLeavesNoThread(t *testing.T) {
	for range 3000 {
		q, runs := kthread.AllocWorkqueue("left", 1), 0
		require.True(t, q.Enqueue(counter(&runs)))
		require.NoError(t, q.Flush(t.Context()))
		culled := make(chan bool)
		go func() {
			q.Cull()
			q.Cull()
			close(culled)
		}()
		require.NoError(t, q.Destroy(t.Context()))
		require.Empty(t, kworkers())
		<-culled
	}
}
