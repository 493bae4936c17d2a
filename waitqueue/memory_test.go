package waitqueue_test

import (
	"context"
	"runtime"
	"testing"
	"unsafe"

	"github.com/kprim/kprim/waitqueue"
)

// TestMemoryOfASleeper prints how much more of the heap a sleeping waiter holds
// than one in a bare select.
//
//	go test ./waitqueue -run MemoryOfASleeper -v
func TestMemoryOfASleeper(t *testing.T) {
	var q waitqueue.Queue
	never := make(chan struct{})
	base := asleepBytes(func(ctx context.Context) {
		select {
		case <-never:
		case <-ctx.Done():
		}
	})
	withContext := asleepBytes(func(ctx context.Context) {
		_ = q.Wait(ctx, func() bool { return false })
	})
	t.Logf("a wait with a context holds %.0f bytes more: an Entry and a channel", withContext-base)
	t.Logf("a Task is %d bytes, which is all that other waits hold", unsafe.Sizeof(waitqueue.Task{}))
}

// asleepBytes returns what each of many sleepers holds of the heap.
func asleepBytes(sleep func(context.Context)) float64 {
	const sleepers = 20000
	ctx, cancel := context.WithCancel(context.Background())
	gone := make(chan struct{}, sleepers)
	for range sleepers {
		go func() {
			sleep(ctx)
			gone <- struct{}{}
		}()
	}
	asleep := heapInUse()
	cancel()
	for range sleepers {
		<-gone
	}
	return float64(asleep-heapInUse()) / sleepers
}

// heap returns the live bytes when everybody who can run has run.
func heapInUse() uint64 {
	for range 10 {
		runtime.Gosched()
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
