package waitqueue_test

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/waitqueue"
)

// holdAt stops the first goroutine that comes to the point of the package until
// release is called.
func holdAt(t *testing.T, name string) (held <-chan struct{}, release func()) {
	came, goOn := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	point.Hook(func(at string, _ any) {
		if at == name && once.CompareAndSwap(false, true) {
			close(came)
			<-goOn
		}
	})
	t.Cleanup(func() { point.Hook(nil) })
	return came, sync.OnceFunc(func() { close(goOn) })
}

// B has an interrupt set, so it does not sleep, and tests. The Interrupt has not woken it yet.
// B takes the token of A, which sleeps behind it. The next wake-up must be for A. If it could
// pick B, it would be lost.
func TestAWaiterThatTestsCannotBePicked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var tok tokens
		var a, b waitqueue.Task
		held, release := holdAt(t, "interrupted") // before A, which reads the hook when it awakes
		resultA := asleep(func() error { return a.WaitExclusive(&q, tok.tryTake) })
		calls := 0
		require.NoError(t, b.WaitExclusive(&q, func() bool {
			switch calls++; calls {
			case 2: // on the queue, and about to sleep
				go b.Interrupt()
				<-held
			case 3: // it did not sleep
				tok.Store(1)
				got := tok.tryTake() // before A runs
				q.WakeUp()           // picks A, which finds no token
				synctest.Wait()
				tok.Store(1)
				q.WakeUp()
				synctest.Wait()
				return got
			}
			return false
		}))
		require.True(t, ended(resultA), "a token is free")
		release()
	})
}

// A Signal picks A. The context of A ends after A has looked at it, and before A sleeps again.
// A gives up, and passes the Signal on.
func TestWaitForPassesOnThoughItNeverSleptAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		c := waitqueue.NewCond(&mu)
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		resultA := asleep(func() error {
			mu.Lock()
			defer mu.Unlock()
			return c.WaitFor(ctx, func() bool {
				if calls++; calls == 2 {
					cancel()
				}
				return false
			})
		})
		resultB := asleep(func() error {
			mu.Lock()
			defer mu.Unlock()
			return c.Wait(context.Background())
		})
		c.Signal()
		require.ErrorIs(t, <-resultA, syscall.EINTR)
		require.True(t, ended(resultB))
	})
}

// A wait is over before the signal of its waker has come. The next sleeper is in a bubble. It
// must not get the signal, which would end the program. The wake-up comes when the sleep is
// announced, or right before the sleep.
func TestLateSignalReachesNobody(t *testing.T) {
	for _, moment := range []string{"tested", "commit"} {
		var q waitqueue.Queue
		var waker sync.WaitGroup
		var ready atomic.Bool
		came, goOn := make(chan struct{}), make(chan struct{})
		points := map[string]func(){
			moment: func() {
				ready.Store(true)
				waker.Go(func() { q.WakeUp() })
				<-came
			},
			"unpark": func() { close(came); <-goOn },
		}
		var mu sync.Mutex
		point.Hook(func(at string, _ any) {
			mu.Lock()
			act := points[at]
			delete(points, at) // each once
			mu.Unlock()
			if act != nil {
				act()
			}
		})
		require.NoError(t, q.Wait(context.Background(), ready.Load))
		synctest.Test(t, func(t *testing.T) {
			ready.Store(false)
			var results []<-chan error
			for range 4 {
				results = append(results, asleep(func() error { return q.Wait(context.Background(), ready.Load) }))
			}
			close(goOn)
			waker.Wait()
			ready.Store(true)
			q.WakeUpAll()
			for _, result := range results {
				require.NoError(t, <-result)
			}
		})
		point.Hook(nil)
	}
}

// The same for a wait with a context. A wake-up has picked it before it leaves.
func TestLateKickReachesNobody(t *testing.T) {
	held, release := holdAt(t, "unpark")
	defer release()
	var q waitqueue.Queue
	var waker sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	err := q.Wait(ctx, func() bool {
		if calls++; calls == 2 {
			waker.Go(func() { q.WakeUp() })
			<-held
			cancel()
		}
		return false
	})
	require.ErrorIs(t, err, syscall.EINTR)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var results []<-chan error
		for range 4 {
			results = append(results, asleep(func() error { return q.Wait(ctx, func() bool { return false }) }))
		}
		release()
		waker.Wait()
		cancel()
		for _, result := range results {
			require.ErrorIs(t, <-result, syscall.EINTR)
		}
	})
}

// A waiter that was picked leaves without the lock of its queue, because a long walk may
// still hold that lock.
func TestPickedWaiterLeavesWithoutTheLock(t *testing.T) {
	var q waitqueue.Queue
	walking, returned := make(chan struct{}), make(chan struct{})
	var waker sync.WaitGroup
	var late bool
	q.AddExclusive(&waitqueue.Entry{Func: func(*waitqueue.Entry, waitqueue.State, any) int {
		close(walking)
		select {
		case <-returned:
		case <-time.After(10 * time.Second):
			late = true
		}
		return 0
	}})
	tests := 0
	require.NoError(t, q.Wait(context.Background(), func() bool {
		if tests++; tests == 2 { // on the queue, in front of the other entry
			waker.Go(func() { q.WakeUp() })
			<-walking
		}
		return tests == 2
	}))
	close(returned)
	waker.Wait()
	require.False(t, late)
}
