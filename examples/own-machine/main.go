// Own-machine puts threads into the states that a thread of package kthread
// can be in, and shows them as ps(1) shows the processes of a machine.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

func main() {
	if err := session(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "own-machine:", err)
		os.Exit(1)
	}
}

// A machine has one CPU. So each thread sleeps before the next one starts.
type machine struct {
	cpu     onecpu.CPU
	over    bool // the sleepers may go; guarded by cpu
	threads []*kthread.Thread
}

func session(out io.Writer) error {
	var m machine
	fifo := waitqueue.Queue{Name: "wait_for_partner"}
	disk := waitqueue.Queue{Name: "submit_bio_wait"}
	work := waitqueue.Queue{Name: "worker_thread"}
	m.cpu.Lock()
	m.sleeper("cat", &fifo, waitqueue.Interruptible)
	m.sleeper("dd", &disk, waitqueue.Uninterruptible)
	m.sleeper("kworker/0:1", &work, waitqueue.Idle)
	cpuhp := kthread.Create("cpuhp/0", func(*kthread.Current) error { return nil })
	err := cpuhp.Park(context.Background())
	ps := m.cpu.Start("ps", func(*kthread.Current) error { return show(out) })
	m.threads = append(m.threads, cpuhp, ps)
	m.over = true
	fifo.WakeUp()
	disk.WakeUp()
	work.WakeUp()
	m.cpu.Unlock()
	for _, thread := range m.threads {
		err = errors.Join(err, thread.Stop())
	}
	return err
}

// show prints the columns of ps -o stat,wchan:20,comm.
func show(out io.Writer) (err error) {
	_, err = fmt.Fprintln(out, "STAT WCHAN                COMMAND")
	for _, task := range kthread.Tasks() {
		wchan := cmp.Or(task.Wchan, "-")
		_, err1 := fmt.Fprintf(out, "%-4v %-20s %s\n", task.State, wchan, task.Comm())
		err = errors.Join(err, err1)
	}
	return err
}

// sleeper starts a thread that sleeps in this state until the end.
func (m *machine) sleeper(name string, queue *waitqueue.Queue, state waitqueue.State) {
	m.threads = append(m.threads, m.cpu.Start(name, func(cur *kthread.Current) error {
		entry := waitqueue.Entry{Task: cur.Task(), Func: m.cpu.Enqueue}
		defer queue.Finish(&entry)
		for queue.Prepare(&entry, state); !m.over; queue.Prepare(&entry, state) {
			m.cpu.Schedule(cur.Task())
		}
		return nil
	}))
}
