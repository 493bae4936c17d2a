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

// A thread loses all other signals.
var allowed = []syscall.Signal{syscall.SIGKILL, syscall.SIGINT, syscall.SIGTERM}

func main() {
	if err := session(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "start-stop-kthread:", err)
		os.Exit(1)
	}
}

// session types commands, and shows their output. The threads wake up at 1 s
// and at 2 s. ps and rmmod come half a second later, when all threads sleep.
func session(out io.Writer) error {
	m := newModule(out)
	m.ps()
	m.shell.Print("# insmod thread_mod.ko; sleep 1.5")
	if err := m.load(); err != nil {
		return err
	}
	<-time.After(1500 * time.Millisecond)
	m.ps()
	m.shell.Print("# sleep 1; rmmod thread_mod")
	<-time.After(time.Second)
	if err := m.exit(); err != nil {
		return err
	}
	m.ps()
	return nil
}

// A console shows whole lines, from the shell and from the log.
type console struct{ *log.Logger }

func (c console) Write(line []byte) (int, error) {
	c.Print(string(line))
	return len(line), nil
}

// A module is thread_mod.ko.
type module struct {
	shell   console
	log     *printk.Log
	example []*example // static kthread_t example[NTHREADS]
}

func newModule(out io.Writer) *module {
	shell := console{log.New(out, "", 0)}
	return &module{shell: shell, log: printk.New(shell)}
}

// An example is a thread and its data: kthread_t.
type example struct {
	log    *printk.Log
	thread *kthread.Thread
	wokeUp int // needs no lock: read when the thread is gone
}

// load is thread_init. When it returns, five threads are set up, or none.
func (m *module) load() error {
	for range nThreads {
		e := &example{log: m.log}
		// err = start_kthread(example_thread, &example[i])
		if err := e.start(); err != nil {
			return cmp.Or(err, m.unload()) // stop_all()
		}
		m.example = append(m.example, e)
	}
	return nil
}

// start is start_kthread. It returns when the thread is set up. If the thread
// ends before that, Start returns an error, and the article waits for ever.
func (e *example) start() (err error) {
	ctx := context.Background() // no signal ends it, as with down
	// kthread_create(func, kthread, "example thread"),
	// wake_up_process(thread), down(&kthread->startstop_sem)
	e.thread, err = kthread.Start(ctx, "example thread", e.run)
	return err
}

// setUp is init_kthread.
func setUp(cur *kthread.Current) error {
	if err := cur.Allow(allowed...); err != nil { // allow_signal(SIGKILL)
		return err // Start returns it
	}
	cur.Ready() // up(&kthread->startstop_sem)
	return nil
}

// run is example_thread. Its return is exit_kthread.
func (e *example) run(cur *kthread.Current) error {
	if err := setUp(cur); err != nil { // init_kthread(kthread)
		return err
	}
	e.log.Printk("hi, here is the kernel thread\n")
	for {
		// schedule_timeout_interruptible(HZ)
		_ = cur.Sleep(time.Second)
		cur.Flush() // the article lacks it: see signal-storm
		// Before the work: there is no more work after a stop.
		if cur.ShouldStop() { // if (READ_ONCE(kthread->terminate))
			return nil // up(&kthread->startstop_sem)
		}
		e.wokeUp++
		// pr_info("example thread: thread woke up\n")
		e.log.Printk("example thread: thread woke up\n")
	}
}

// exit is thread_exit.
func (m *module) exit() error {
	err := m.unload()
	return cmp.Or(err, m.example[0].stop()) // stop_kthread(&example[0])
}

// unload is stop_all. When it returns, the threads are gone, and not only about
// to go: the module's code could be freed.
func (m *module) unload() (err error) {
	for i, e := range m.example {
		err = cmp.Or(err, e.stop()) // stop_kthread(&example[i])
		m.shell.Printf("example[%d] is gone, it woke up %d times", i, e.wokeUp)
	}
	return err
}

// stop is stop_kthread. It tests only to print the line: Stop of a thread that
// is gone, or is about to go, returns its result.
func (e *example) stop() error {
	if e.thread.Signal(0) != nil { // if (kthread->thread == NULL)
		e.log.Printk("stop_kthread: killing non existing thread!\n")
	}
	// WRITE_ONCE(kthread->terminate, true),
	// send_sig(SIGKILL, kthread->thread, 1), down(&kthread->startstop_sem),
	// kthread_stop(kthread->thread)
	return e.thread.Stop()
}

// ps shows the threads of this program, which has no others.
func (m *module) ps() {
	m.shell.Print("# ps")
	m.shell.Print(kthread.Tasks())
}
