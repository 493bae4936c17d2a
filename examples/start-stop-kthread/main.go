// Start-stop-kthread is a kernel module with five threads that wake up every
// second. Loading it returns when all of them are set up, and unloading it when
// all of them are gone.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"syscall"
	"time"

	"github.com/kprim/kprim/examples/internal/printk"
	"github.com/kprim/kprim/kthread"
)

const nThreads = 5 // #define NTHREADS 5

// All other signals are lost on a thread.
var allowed = []syscall.Signal{syscall.SIGKILL, syscall.SIGINT, syscall.SIGTERM}

func main() {
	if err := session(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "start-stop-kthread:", err)
		os.Exit(1)
	}
}

// session is what is typed, and what is shown. The threads wake up at 1 s and
// at 2 s; ps and rmmod come half a second off, when all of them are asleep.
func session(out io.Writer) error {
	m := newModule(out)
	m.ps()
	m.shell.Print("# insmod thread_mod.o; sleep 1.5")
	if err := m.load(); err != nil {
		return err
	}
	<-time.After(1500 * time.Millisecond)
	m.ps()
	m.shell.Print("# sleep 1; rmmod thread_mod")
	<-time.After(time.Second)
	if err := m.unload(); err != nil {
		return err
	}
	err := m.example[0].stop() // one stop too many
	m.ps()
	return err
}

// A console shows whole lines, those of the shell and those of the log.
type console struct{ *log.Logger }

func (c console) Write(line []byte) (int, error) {
	c.Print(string(line))
	return len(line), nil
}

// A module is thread_mod.o.
type module struct {
	shell   console
	log     *printk.Log
	example []*example // kthread_t example[NTHREADS]
}

func newModule(out io.Writer) *module {
	shell := console{log.New(out, "", 0)}
	return &module{shell: shell, log: printk.New(shell)}
}

// An example is kthread_t: a thread, and what it works on.
type example struct {
	log    *printk.Log
	thread *kthread.Thread
	wokeUp int // needs no lock: read when the thread is gone
}

// load is init_module. When it returns, five threads are set up. It prints
// nothing between the starts: "hi" comes after the handshake, and so before the
// next start or after it.
func (m *module) load() (err error) {
	ctx := context.Background() // as down: it cannot be interrupted
	for range nThreads {
		e := &example{log: m.log}
		// start_kthread(example_thread, &example[i])
		e.thread, err = kthread.Start(ctx, "example thread", e.run)
		if err != nil {
			return cmp.Or(err, m.unload()) // all or none
		}
		m.example = append(m.example, e)
	}
	return nil
}

// setUp is init_kthread. If the thread ends without it, Start returns an error
// where start_kthread would wait for ever.
func setUp(cur *kthread.Current) error {
	// siginitsetinv(&current->blocked, sigmask(SIGKILL)|...)
	if err := cur.Allow(allowed...); err != nil {
		return err // Start returns it
	}
	cur.Ready() // up(&kthread->startstop_sem)
	return nil
}

// run is example_thread.
func (e *example) run(cur *kthread.Current) error {
	// init_kthread(kthread, "example thread")
	if err := setUp(cur); err != nil {
		return err
	}
	e.log.Printk("hi, here is the kernel thread\n")
	for {
		// interruptible_sleep_on_timeout(&kthread->queue, HZ)
		_ = cur.Sleep(time.Second)
		cur.Flush() // the original lacks it: see signal-storm
		// Before the work, which is not done any more after a stop.
		if cur.ShouldStop() { // if (kthread->terminate)
			return nil // exit_kthread(kthread)
		}
		e.wokeUp++
		e.log.Printk("example thread: thread woke up\n")
	}
}

// unload is cleanup_module. When it returns, the threads are gone, and not
// merely about to go: the module's code could be freed.
func (m *module) unload() (err error) {
	for i, e := range m.example {
		err = cmp.Or(err, e.stop()) // stop_kthread(&example[i])
		m.shell.Printf("example[%d] is gone, it woke up %d times", i, e.wokeUp)
	}
	return err
}

// stop is stop_kthread. The test is for the log's sake only: Stop of a thread
// that is gone, or goes just now, returns its result.
func (e *example) stop() error {
	if e.thread.Signal(0) != nil { // if (kthread->thread == NULL)
		e.log.Printk("stop_kthread: killing non existing thread!\n")
	}
	// kthread->terminate = 1, kill_proc(kthread->thread->pid, SIGKILL, 1),
	// down(&kthread->startstop_sem)
	return e.thread.Stop()
}

// ps shows the threads of this program; it has no others.
func (m *module) ps() {
	m.shell.Print("# ps")
	m.shell.Print(kthread.Tasks())
}
