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

	"github.com/kprim/kprim/kthread"
)

const nThreads = 5 // #define NTHREADS 5

var allowed = []syscall.Signal{syscall.SIGKILL, syscall.SIGINT, syscall.SIGTERM} // sigmask(SIGKILL)|sigmask(SIGINT)|sigmask(SIGTERM)

func main() {
	if err := session(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "start-stop-kthread:", err)
		os.Exit(1)
	}
}

// session is what is typed, and what is shown. The threads wake up at 1 s and
// at 2 s; ps and rmmod come half a second off, when all of them are asleep.
func session(out io.Writer) error {
	m := &module{console: log.New(out, "", 0)}
	m.ps()
	m.console.Print("# insmod thread_mod.o; sleep 1.5")
	if err := m.load(); err != nil {
		return err
	}
	<-time.After(1500 * time.Millisecond)
	m.ps()
	m.console.Print("# sleep 1; rmmod thread_mod")
	<-time.After(time.Second)
	if err := m.unload(); err != nil {
		return err
	}
	m.ps()
	return m.stray()
}

// A module is thread_mod.o.
type module struct {
	console *log.Logger // its lock keeps lines whole
	example []*example  // kthread_t example[NTHREADS]
}

// An example is kthread_t: a thread, and what it works on.
type example struct {
	printk func(text string)
	thread *kthread.Thread
	wokeUp int // needs no lock: read when the thread is gone
}

// load is init_module. When it returns, five threads are set up; "hi" may come
// later, as in the original.
func (m *module) load() error {
	for range nThreads {
		e := &example{printk: m.printk}
		var err error
		e.thread, err = kthread.Start(context.Background(), "example thread", e.run) // start_kthread(example_thread, &example[i])
		if err != nil {
			return cmp.Or(err, m.unload()) // all or none
		}
		m.example = append(m.example, e)
	}
	return nil
}

// run is example_thread.
func (e *example) run(cur *kthread.Current) error {
	if err := cur.Allow(allowed...); err != nil { // siginitsetinv(&current->blocked, ...)
		return err // Start returns it
	}
	cur.Ready() // up(&kthread->startstop_sem)
	e.printk("hi, here is the kernel thread")
	for {
		_ = cur.Sleep(time.Second) // interruptible_sleep_on_timeout(&kthread->queue, HZ)
		// Before the work, which is not done any more after a stop.
		if cur.ShouldStop() { // if (kthread->terminate)
			return nil // exit_kthread(kthread)
		}
		// The original has no such line. What comes of that is in stray.go.
		cur.Flush()
		e.wokeUp++
		e.printk("example thread: thread woke up")
	}
}

// unload is cleanup_module. When Stop returns, the thread is gone, and not
// merely about to go: the module's code could be freed.
func (m *module) unload() (err error) {
	for i, e := range m.example {
		err = cmp.Or(err, e.thread.Stop()) // stop_kthread(&example[i])
		m.console.Printf("example[%d] is gone, it woke up %d times", i, e.wokeUp)
	}
	m.example = nil
	return err
}

func (m *module) printk(text string) { m.console.Print("kernel: ", text) }

// ps shows the threads of this program; it has no others.
func (m *module) ps() {
	m.console.Print("# ps")
	m.console.Print(kthread.Tasks())
}
