// Stuck-start is a handshake that hangs: one semaphore serves the start of a
// thread and its stop, and is locked anew for each.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

func main() {
	if err := session(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "stuck-start:", err)
		os.Exit(1)
	}
}

func session(out io.Writer) error {
	_, err := fmt.Fprint(out,
		broken("start_kthread", fails), right("kthread.Start", fails),
		broken("stop_kthread", ends), right("Thread.Stop", ends))
	return err
}

// Two threads, as what they do. One is never set up, for want of a file; the
// other one is, and ends by itself when it has read all.
func fails(func()) error     { return os.ErrNotExist }
func ends(init func()) error { init(); return io.EOF }

// A kthreadT is kthread_t. Its startstop_sem is a count, of the ups that nobody
// has taken, and a queue, of those who wait for one.
type kthreadT struct {
	cpu               onecpu.CPU // guards what follows
	thread            bool       // is not NULL
	sem               waitqueue.Queue
	count, downs, ups int
}

// down cannot be interrupted: a Background context is TASK_UNINTERRUPTIBLE.
func (k *kthreadT) down() {
	k.downs++
	free := func() bool { return k.count > 0 }
	_ = k.sem.WaitLocked(context.Background(), &k.cpu, free)
	k.count--
}

// up is what counts in init_kthread, which makes a thread of NULL, and in
// exit_kthread, which makes NULL of it.
func (k *kthreadT) up(thread bool) {
	k.thread = thread // kthread->thread = current, kthread->thread = NULL
	k.ups++
	k.count++ // up(&kthread->startstop_sem)
	k.sem.WakeUp()
}

// start is start_kthread. Nobody but the thread can do the up. It runs in a
// window, on this goroutine, so that the order is always the same.
func (k *kthreadT) start(thread func(init func()) error) {
	k.count = 0 // init_MUTEX_LOCKED(&kthread->startstop_sem)
	// schedule_task(&kthread->tq)
	_ = thread(func() { k.up(true) })
	k.down() // down(&kthread->startstop_sem)
}

// stop is stop_kthread. The thread that it has seen may do its up before the
// semaphore is locked anew, in the window: then that up is wiped out.
func (k *kthreadT) stop(window func()) {
	if k.thread { // if (kthread->thread == NULL)
		window()
		k.count = 0 // init_MUTEX_LOCKED(&kthread->startstop_sem)
		k.down()    // down(&kthread->startstop_sem)
	}
}

// broken has a thread started, and stopped when it comes to its end. When
// Start returns, all others have made their last step: who waits, waits for
// ever.
func broken(call string, do func(init func()) error) string {
	var k kthreadT
	k.cpu.Lock()
	end := func() { k.up(false) }
	run := func(*kthread.Current) error { k.start(do); k.stop(end); return nil }
	caller := k.cpu.Start("insmod; rmmod", run)
	defer k.cpu.Sleep(func() { _ = caller.Stop() }) // until it is gone
	defer k.up(false)                               // by hand, so that it goes
	how := map[bool]string{true: "still waiting", false: "back"}[k.sem.Active()]
	return fmt.Sprintf("%s: %s (%d down, %d up)\n", call, how, k.downs, k.ups)
}

// right does so with a kthread.Thread. A wait is a down, and Ready and the end
// of the thread are the ups. Stop may come before that end or after it: nothing
// is locked anew.
func right(call string, do func(init func()) error) string {
	var t *kthread.Thread
	downs, ups, err := 0, 0, error(nil)
	fn := func(cur *kthread.Current) error {
		defer func() { ups++ }()
		return do(func() { ups++; cur.Ready() })
	}
	down := func(wait func()) { downs++; wait() }
	down(func() { t, err = kthread.Start(context.Background(), "example", fn) })
	if err == nil {
		down(func() { err = t.Stop() })
	}
	return fmt.Sprintf("%s: %v (%d down, %d up)\n", call, err, downs, ups)
}
