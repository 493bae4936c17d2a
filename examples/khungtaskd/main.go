// Khungtaskd is the kernel's detector of hung tasks as a program: a thread that finds
// threads that have slept in state D for too long. It logs the kernel's line, keeps the
// trace of the last seconds, and starts a helper program.
//
// The program makes a thread hang, and shows each step. With a directory as its
// argument it leaves the trace there.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/printk"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/waitqueue"
)

func main() {
	// A program that is ended early removes its files, and ends the helper. 1 is SIGHUP, which
	// comes at the end of the terminal. 13 is SIGPIPE, which comes if a reader leaves, as head
	// does. Not every system has these names.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.Signal(1), syscall.Signal(13))
	defer stop()
	if err := session(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "khungtaskd:", err)
		os.Exit(1)
	}
}

//go:embed helper.sh
var script []byte

// session makes a thread hang until the helper has ended, or ctx ends.
func session(ctx context.Context, out io.Writer, args []string) error {
	temp, err := os.MkdirTemp("", "khungtaskd-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	helper := filepath.Join(temp, "helper")
	log := &printk.Log{Console: out, Mark: "kernel: "}
	w, err := newWatchdog(slog.New(log), append(args, temp)[0])
	err = errors.Join(err, os.WriteFile(helper, script, 0o755), w.recorder.Start())
	defer w.recorder.Stop()
	defer kthread.Run("khungtaskd", w.watch).Stop()
	defer kthread.Run("hung_notifier", w.notify).Stop()
	if err = errors.Join(err, w.set(out, "hung_task_helper", helper), w.set(out, "hung_task_timeout_secs", "1")); err != nil {
		return err
	}

	sda1 := disk{log: w.log, queue: waitqueue.Queue{Name: "sda1"}}
	flushd := kthread.Run("flushd", sda1.write)
	err = w.notified.Wait(ctx)
	fmt.Fprintln(out, "# ps -w")
	for _, i := range kthread.Tasks().Blocked() {
		fmt.Fprintf(out, "%s %s [%s]\n", i.State, i.Wchan, i.Comm())
	}
	err = errors.Join(err, w.set(out, "hung_task_timeout_secs", "0"))
	sda1.answer()
	err = errors.Join(err, flushd.Stop())
	fmt.Fprintln(out, "# dmesg")
	_, err1 := log.WriteTo(out)
	return errors.Join(err, err1)
}

// set writes a tunable, as an operator does.
func (w *watchdog) set(out io.Writer, name, value string) error {
	fmt.Fprintf(out, "# echo %s > /proc/sys/kernel/%s\n", value, name)
	return w.tree.WriteFile(sysctl.Root, "kernel/"+name, []byte(value))
}

// A disk answers late.
type disk struct {
	log      *slog.Logger
	queue    waitqueue.Queue
	answered atomic.Bool
}

// write is the thread that hangs. It waits in state D, because the disk still reads the
// thread's memory. So neither a signal nor a stop may end the wait.
func (d *disk) write(cur *kthread.Current) error {
	d.log.InfoContext(cur.Context(), "writes", "disk", d.queue.Name)
	wait := waitqueue.Entry{Task: cur.Task()}
	for {
		d.queue.Prepare(&wait, waitqueue.Uninterruptible)
		if d.answered.Load() {
			break
		}
		cur.Task().Schedule()
	}
	d.queue.Finish(&wait)
	d.log.InfoContext(cur.Context(), "has written")
	return nil
}

// answer ends the wait.
func (d *disk) answer() {
	d.answered.Store(true)
	d.queue.WakeUp()
}
