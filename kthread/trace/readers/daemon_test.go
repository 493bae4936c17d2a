//go:build unix

package readers_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/waitqueue"
)

const (
	jobThreads = 4
	clients    = 2
	perClient  = 500 // jobs
	maxPending = 6   // jobs
	perLog     = 10  // jobs of a thread for each work of the log
	perSignal  = 40  // jobs of a thread for each signal
)

// A daemon has threads that do the jobs of clients, a workqueue that writes a log, and a
// thread that takes signals. All is real: time, load, and threads that run at once. It counts
// its steps. A test compares the counts with the result of a tool that reads its trace.
type daemon struct {
	jobs, room waitqueue.Queue // more jobs; room for more jobs
	hangup     waitqueue.Queue // on which nothing but a signal wakes

	mu      sync.Mutex
	pending int // jobs; guarded by mu
	sending int // clients; guarded by mu

	done     [jobThreads]int    // jobs of each thread
	wakeUps  [jobThreads]uint32 // of each thread
	woken    [clients]int       // threads that a client woke
	logged   atomic.Int32       // works that ran
	signals  atomic.Int32       // that were sent
	received int                // signals that were not merged with another
}

// run runs the daemon for about a second, and returns its trace.
func (d *daemon) run(t *testing.T) []byte {
	d.jobs.Name, d.room.Name, d.hangup.Name = "jobs", "room", "hangup"
	var text bytes.Buffer
	require.NoError(t, trace.Start(&text))
	logs := kthread.AllocWorkqueue("log", 1) // Go's viewer would lose a work that overlaps with another
	reload, err := kthread.Start(t.Context(), "reload", d.reload)
	require.NoError(t, err)
	var threads, clientThreads []*kthread.Thread
	for i := range jobThreads {
		threads = append(threads, kthread.Run(fmt.Sprintf("jobd/%d", i), func(cur *kthread.Current) error {
			return d.work(cur, i, logs, reload)
		}))
	}
	d.sending = clients // no client has begun
	for i := range clients {
		clientThreads = append(clientThreads, kthread.Run(fmt.Sprintf("client/%d", i), func(cur *kthread.Current) error {
			return d.send(cur, i)
		}))
	}
	d.waitUntilIdle(t)
	for _, client := range clientThreads {
		require.NoError(t, client.Wait(t.Context()))
	}
	for _, thread := range append(threads, reload) {
		require.NoError(t, thread.Stop())
	}
	require.NoError(t, logs.Destroy(t.Context()))
	require.NoError(t, trace.Stop())
	return text.Bytes()
}

// waitUntilIdle waits under a name, so that the trace has a lane with that name. The clients
// have just begun, so it has to sleep.
func (d *daemon) waitUntilIdle(t *testing.T) {
	ctx, stop := waitqueue.WithTask(t.Context(), "main")
	defer stop()
	require.NoError(t, d.room.Wait(ctx, d.isIdle))
}

// send sends the jobs of client i, when there is room.
func (d *daemon) send(cur *kthread.Current, i int) error {
	defer d.sent()
	for range perClient {
		if err := cur.WaitExclusive(&d.room, func() bool { return d.change(1) }); err != nil {
			return err
		}
		d.woken[i] += d.jobs.WakeUp()
	}
	return nil
}

// sent says that a client is over.
func (d *daemon) sent() {
	d.mu.Lock()
	d.sending--
	d.mu.Unlock()
	d.room.WakeUp()
}

// work does jobs until a stop is asked.
func (d *daemon) work(cur *kthread.Current, i int, logs *kthread.Workqueue, reload *kthread.Thread) error {
	entry := &kthread.Work{Func: d.log}
	load := make([]byte, 1<<20)
	for !cur.ShouldStop() {
		if cur.WaitExclusive(&d.jobs, func() bool { return d.change(-1) }) != nil {
			continue
		}
		trace.Begin("job")
		sha256.Sum256(load)
		trace.End()
		if d.done[i]++; d.done[i]%perLog == 0 {
			logs.Enqueue(entry)
		}
		if d.done[i]%perSignal == 0 {
			d.signals.Add(1)
			_ = reload.Signal(syscall.SIGHUP)
		}
		d.room.WakeUp()
	}
	d.wakeUps[i] = cur.Task().WakeUps()
	return nil
}

// log is a work.
func (d *daemon) log() { d.logged.Add(1) }

// reload takes signals until a stop is asked.
func (d *daemon) reload(cur *kthread.Current) error {
	if err := cur.Allow(syscall.SIGHUP); err != nil {
		return err
	}
	cur.Ready()
	for !cur.ShouldStop() {
		_ = cur.Wait(&d.hangup, func() bool { return false })
		if cur.Dequeue() == syscall.SIGHUP {
			trace.Instant("reload")
			d.received++
		}
	}
	return nil
}

// change adds n jobs to the pending ones, unless there is no room for them, or none of them.
func (d *daemon) change(n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if after := d.pending + n; after < 0 || after > maxPending {
		return false
	}
	d.pending += n
	trace.Counter("pending", int64(d.pending))
	return true
}

func (d *daemon) isIdle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pending+d.sending == 0
}
