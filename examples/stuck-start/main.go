// Stuck-start is a handshake that hangs. One semaphore serves both the start of
// a thread and its stop, and each of them locks it again.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

func main() { program.Main() }

var program = step.Program{Name: "stuck-start", Game: game, Story: session}

func session(out io.Writer) error {
	_, err := fmt.Fprint(out,
		broken("start_kthread", fails), right("kthread.Start", fails),
		broken("stop_kthread", ends), right("Thread.Stop", ends))
	return err
}

// The two functions are threads. The first one is never set up, because a file
// does not exist. The second one is set up, and ends by itself when it has read
// all its input.
func fails(func()) error     { return os.ErrNotExist }
func ends(init func()) error { init(); return io.EOF }

// A kthreadT is kthread_t. Its startstop_sem is a count of the ups that no down
// has used, and a queue of the threads that wait for one.
type kthreadT struct {
	cpu               onecpu.CPU // guards the fields below
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

// up is the handshake of init_kthread, which sets the pointer to the thread,
// and of exit_kthread, which sets it to NULL.
func (k *kthreadT) up(thread bool) {
	k.thread = thread // kthread->thread = current, kthread->thread = NULL
	k.ups++
	k.count++ // up(&kthread->startstop_sem)
	k.sem.WakeUp()
}

// start is start_kthread. Only the thread can do the up. Its steps run on this
// goroutine, before the down, so the order is always the same.
func (k *kthreadT) start(thread func(init func()) error) {
	k.count = 0 // init_MUTEX_LOCKED(&kthread->startstop_sem)
	// schedule_task(&kthread->tq)
	_ = thread(func() { k.up(true) })
	k.down() // down(&kthread->startstop_sem)
}

// stop is stop_kthread. It has seen the thread. In the window the thread may do
// its up, and then the second init_MUTEX_LOCKED wipes out that up.
func (k *kthreadT) stop(window func()) {
	if k.thread { // if (kthread->thread == NULL)
		window()
		k.count = 0 // init_MUTEX_LOCKED(&kthread->startstop_sem)
		k.down()    // down(&kthread->startstop_sem)
	}
}

// broken starts a thread, and stops it when the thread comes to its end. When
// cpu.Start returns, all other threads have made their last step. So a caller
// that waits then waits for ever.
func broken(call string, do func(init func()) error) string {
	var k kthreadT
	k.cpu.Lock()
	caller := k.cpu.Start("insmod; rmmod", func(*kthread.Current) error {
		k.start(do)
		k.stop(func() { k.up(false) })
		return nil
	})
	line := k.line(call)
	k.up(false) // by hand, so that the caller ends
	k.cpu.Sleep(func() { _ = caller.Stop() })
	return line
}

// line says whether the caller of start or stop still waits.
func (k *kthreadT) line(call string) string {
	state := "back"
	if k.sem.Active() {
		state = "still waiting"
	}
	return fmt.Sprintf("%s: %s (%d down, %d up)\n",
		call, state, k.downs, k.ups)
}

// right does the same with a kthread.Thread. It counts a wait as a down. Ready
// and the end of the thread are the ups. Stop may come before that end or after
// it, because nothing is locked again.
func right(call string, do func(init func()) error) string {
	downs, ups := 1, 0
	thread, err := kthread.Start(context.Background(), "example",
		func(cur *kthread.Current) error {
			defer func() { ups++ }()
			return do(func() { ups++; cur.Ready() })
		})
	if err == nil {
		downs++
		err = thread.Stop()
	}
	return fmt.Sprintf("%s: %v (%d down, %d up)\n", call, err, downs, ups)
}
