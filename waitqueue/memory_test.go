package waitqueue_test

import (
	"context"
	"runtime"
	"testing"
	"unsafe"

	"github.com/kprim/kprim/waitqueue"
)

// TestMemoryOfASleeper prints how many bytes of the heap a sleeping waiter holds more than a
// goroutine in a bare select.
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
	t.Logf("a Task is %d bytes; other waits hold no more", unsafe.Sizeof(waitqueue.Task{}))
}

// asleepBytes returns how many bytes of the heap each of many sleepers holds.
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

// heapInUse returns the live bytes. Before that it lets all goroutines run that can run.
func heapInUse() uint64 {
	for range 10 {
		runtime.Gosched()
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
