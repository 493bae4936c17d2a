//go:build (linux || darwin || freebsd) && !mutant

package kthread_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/usermodehelper"
)

// A daemon runs a script for each event. The Example plainDaemon is the same with channels
// and os/exec. Both give these guarantees:
//
//   - A job never runs twice at once, and at most two jobs run.
//   - If a job has several new events, it gets the last one.
//   - A helper has a limit of time and of output, and leaves no process behind.
//   - SIGTERM has the waiting jobs run at once. SIGINT ends the running jobs too.
//   - At the end, no goroutine and no process is left.
//
// This daemon has 55 lines of code, and the other one 101: 33 and 65 for the jobs, 22 and 36
// for the helper.
//
// Not all of it is clearer here. If the jobs are known from the start, a goroutine and a
// channel for each of them read as well as a workqueue.
//
// The helper is clearer here, and has stronger guarantees. There, a signal for its group
// goes to a number that another group could have by then. A child that is dead counts as
// alive there until process 1 reaps it, which takes seconds in some containers.
func Example_daemon() {
	log := make(chan string) // a job waits here until its line is read
	disk := &job{name: "disk", script: `echo "$EVENT"; exit 3`, delay: time.Millisecond}
	link := &job{name: "link", script: `exec sleep 1000`}
	mail := &job{name: "mail", script: `yes "$EVENT" | head -1000`, delay: time.Hour}
	d := newDaemon(log, time.Minute, disk, link, mail)

	kill, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	stop, cancel := signal.NotifyContext(kill, syscall.SIGTERM)
	defer cancel()
	ended := make(chan error)
	go func() { ended <- d.run(stop, kill) }()

	_ = d.events.Post(disk, "slow")
	fmt.Println(<-log)
	for i := range 100 { // during the run: all but the last are forgotten
		_ = d.events.Post(disk, fmt.Sprint("error ", i))
	}
	fmt.Println(<-log)
	fmt.Println(<-log)
	fmt.Println(<-log)

	_ = d.events.Post(mail, "from root")
	_ = d.events.Post(link, "down")
	fmt.Println(<-log)
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGTERM) // mail need not wait for an hour
	fmt.Println(<-log)
	fmt.Println(<-log)
	fmt.Println("refused:", errors.Is(d.events.Post(disk, "late"), os.ErrClosed))
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGINT) // link would take its time
	fmt.Println(<-log)
	fmt.Println("ended:", <-ended)
	// Output:
	// disk: slow: started
	// disk: slow: exit status 3, "slow\n"
	// disk: error 99: started
	// disk: error 99: exit status 3, "error 99\n"
	// link: down: started
	// mail: from root: started
	// mail: from root: exit status 0, "from root\nfrom root\nfrom root\nfrom root\nfrom root\nfrom root\nfrom"
	// refused: true
	// link: down: signal: terminated, ""
	// ended: interrupt signal received
}

// A daemon runs the script of a job when the job has a new event, until a
// context tells it to stop.
type daemon struct {
	jobs    []*job
	log     chan<- string
	timeout time.Duration // of a run
	queue   *kthread.Workqueue
	gate    usermodehelper.Gate
	events  rwevent.Table[*job, string] // the latest one of each job
}

// A job has no goroutine while it has nothing to do.
type job struct {
	name, script string
	delay        time.Duration // from the first new event to the run
	work         kthread.DelayedWork
}

func newDaemon(log chan<- string, timeout time.Duration, jobs ...*job) *daemon {
	d := &daemon{jobs: jobs, log: log, timeout: timeout, queue: kthread.AllocWorkqueue("jobs", 2)}
	d.gate.Allow = []string{"/bin/sh"}
	for _, j := range jobs {
		j.work.Func = func() { d.handle(j) }
	}
	return d
}

// run runs jobs until stop ends. Then it runs the jobs at once that have an event.
// When kill ends, it ends the running helpers too, and returns the cause.
func (d *daemon) run(stop, kill context.Context) error {
	for event := range d.events.Changes(stop) {
		d.queue.EnqueueAfter(&event.Key.work, event.Key.delay)
	}
	d.events.Close()
	for _, j := range d.jobs {
		d.queue.ModDelayed(&j.work, 0) // a job without a new event does nothing
	}
	d.queue.StopWith(kill)
	_ = d.queue.Destroy(context.Background()) // an error only if kill has ended
	return context.Cause(kill)
}

// handle runs the script, and returns when all its processes have ended.
func (d *daemon) handle(j *job) {
	event, ok := d.events.TryTakeKey(j)
	if !ok {
		return
	}
	helper := usermodehelper.Helper{
		Path:    "/bin/sh",
		Argv:    []string{"sh", "-c", j.script},
		Envp:    usermodehelper.Environ("EVENT=" + event.Value),
		Gate:    &d.gate,
		Output:  &usermodehelper.Output{Max: 64},
		Timeout: d.timeout,
		Sweep:   true,
		Started: func(int) { d.log <- fmt.Sprintf("%s: %s: started", j.name, event.Value) },
	}
	status, err := helper.Exec(d.queue.Context(), usermodehelper.WaitProc)
	if err != nil && status == 0 {
		d.log <- fmt.Sprintf("%s: %s: %v", j.name, event.Value, err)
		return
	}
	d.log <- fmt.Sprintf("%s: %s: %v, %q", j.name, event.Value, status, helper.Output.Bytes())
}
