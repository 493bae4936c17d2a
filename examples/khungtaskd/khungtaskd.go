package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/printk"
	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/usermodehelper"
	"github.com/kprim/kprim/waitqueue"
)

// A watchdog finds hung tasks, and starts a helper program for each.
type watchdog struct {
	log      *slog.Logger
	dir      string // of the traces
	recorder trace.FlightRecorder
	tree     sysctl.Tree
	timeout  *sysctl.Var[int]   // kernel.hung_task_timeout_secs; 0 means off
	helper   sysctl.Var[string] // kernel.hung_task_helper; empty means none
	changed  waitqueue.Queue    // woken when timeout was set

	tasks map[int]sighting           // by pid; only khungtaskd uses it
	hung  rwevent.Table[int, report] // by pid

	notified waitqueue.Completion // a token for each report whose helper has ended
}

// A sighting is of a task that sleeps in state D.
type sighting struct {
	wakeUps  uint32 // of the task; another number is another sleep
	since    time.Time
	reported bool
}

// A report is the event that a task hangs.
type report struct {
	kthread.Info
	trace string // a file
}

func newWatchdog(log *slog.Logger, dir string) (*watchdog, error) {
	w := &watchdog{log: log, dir: dir, changed: waitqueue.Queue{Name: "hung_task_timeout_secs"}}
	w.hung.WaitQueue().Name = "hung_tasks"
	w.timeout = sysctl.NewVar(120, sysctl.Between(0, math.MaxInt32))
	w.timeout.Changed = func(sysctl.Change[int]) { w.changed.WakeUp() }
	_, err := w.tree.Register("kernel",
		sysctl.Entry{Name: "hung_task_timeout_secs", Mode: 0o644, Handler: w.timeout},
		sysctl.Entry{Name: "hung_task_helper", Mode: 0o644, Handler: &w.helper})
	return w, err
}

// watch is the thread khungtaskd. It looks at all tasks once in each timeout.
func (w *watchdog) watch(cur *kthread.Current) error {
	for !cur.ShouldStop() {
		timeout := w.timeout.Load()
		if errors.Is(w.sleep(cur, timeout), syscall.ETIMEDOUT) {
			w.check(time.Duration(timeout) * time.Second)
		}
	}
	return nil
}

// sleep ends early when the timeout is set to another value.
func (w *watchdog) sleep(cur *kthread.Current, timeout int) error {
	changed := func() bool { return w.timeout.Load() != timeout }
	if timeout == 0 {
		return cur.Wait(&w.changed, changed)
	}
	return cur.WaitTimeout(&w.changed, time.Duration(timeout)*time.Second, changed)
}

// check reports each task that has slept in state D since an earlier check, and for the
// timeout at least. A task that has never run is not hung, because it was never woken.
func (w *watchdog) check(timeout time.Duration) {
	sleeping := map[int]sighting{}
	for _, task := range kthread.Tasks().Blocked() {
		s := w.tasks[task.Pid]
		if s.wakeUps != task.WakeUps {
			s = sighting{wakeUps: task.WakeUps, since: time.Now()}
		}
		if task.WakeUps > 0 && !s.reported && time.Since(s.since) >= timeout {
			w.report(task, timeout)
			s.reported = true
		}
		sleeping[task.Pid] = s
	}
	w.tasks = sleeping // the tasks that were woken are forgotten
}

// report logs the task, and posts it with the trace of all threads.
func (w *watchdog) report(task kthread.Info, timeout time.Duration) {
	w.log.Error(fmt.Sprintf("INFO: task %s:%d blocked for more than %d seconds.", task.Comm(), task.Pid, timeout/time.Second))
	var text bytes.Buffer
	_, _ = w.recorder.WriteTo(&text) // a Buffer has no error
	// The helper runs in /, so it needs the whole path.
	file, _ := filepath.Abs(filepath.Join(w.dir, fmt.Sprintf("hung-%d.ftrace", task.Pid)))
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		w.log.Error("khungtaskd: no trace", "error", err)
	}
	_ = w.hung.Post(task.Pid, report{task, file}) // it is never closed
}

// notify is the thread that starts the helper. A helper that hangs delays no check, because
// another thread makes the checks.
func (w *watchdog) notify(cur *kthread.Current) error {
	for event := range w.hung.TakesBy(cur) { // until a stop
		if path := w.helper.Load(); path != "" {
			w.start(cur, path, event.Value)
		}
		w.notified.Complete()
	}
	return nil
}

func (w *watchdog) start(cur *kthread.Current, path string, r report) {
	helper := usermodehelper.Helper{
		Path:    path,
		Envp:    usermodehelper.Environ("TASK="+r.Comm(), "WCHAN="+r.Wchan, "TRACE="+r.trace),
		Output:  &usermodehelper.Output{Max: 1 << 10},
		Timeout: 10 * time.Second,
	}
	status, err := helper.Exec(cur.Context(), usermodehelper.WaitProc)
	if text := helper.Output.String(); text != "" {
		printk.Printk(w.log.Handler(), "%s", text)
	}
	if err != nil || status != 0 {
		w.log.ErrorContext(cur.Context(), "helper has failed", "status", status, "error", err)
	}
}
