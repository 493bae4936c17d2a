//go:build (linux || darwin || freebsd) && !mutant

package kthread_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The daemon of the Example daemon, with channels and os/exec. It prints the same lines.
func Example_plainDaemon() {
	log := make(chan string) // a job waits here until its line is read
	disk := &plainJob{name: "disk", script: `echo "$EVENT"; exit 3`, delay: time.Millisecond}
	link := &plainJob{name: "link", script: `exec sleep 1000`}
	mail := &plainJob{name: "mail", script: `yes "$EVENT" | head -1000`, delay: time.Hour}
	d := newPlainDaemon(log, time.Minute, disk, link, mail)

	kill, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	stop, cancel := signal.NotifyContext(kill, syscall.SIGTERM)
	defer cancel()
	ended := make(chan error)
	go func() { ended <- d.run(stop, kill) }()

	_ = d.post(disk, "slow")
	fmt.Println(<-log)
	for i := range 100 { // during the run: all but the last are forgotten
		_ = d.post(disk, fmt.Sprint("error ", i))
	}
	fmt.Println(<-log)
	fmt.Println(<-log)
	fmt.Println(<-log)

	_ = d.post(mail, "from root")
	_ = d.post(link, "down")
	fmt.Println(<-log)
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGTERM) // mail need not wait for an hour
	fmt.Println(<-log)
	fmt.Println(<-log)
	fmt.Println("refused:", errors.Is(d.post(disk, "late"), os.ErrClosed))
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

// A plainDaemon runs the script of a job when the job has a new event, until a
// context tells it to stop.
type plainDaemon struct {
	jobs    []*plainJob
	log     chan<- string
	timeout time.Duration // of a run
	slots   chan struct{} // full while two jobs run

	mu     sync.Mutex
	closed bool
}

// A plainJob has a goroutine, which is idle most of the time.
type plainJob struct {
	name, script string
	delay        time.Duration          // from the first new event to the run
	wake         chan struct{}          // full if the goroutine has to look at event
	event        atomic.Pointer[string] // the latest one, or nil if no event is new
}

func newPlainDaemon(log chan<- string, timeout time.Duration, jobs ...*plainJob) *plainDaemon {
	for _, j := range jobs {
		j.wake = make(chan struct{}, 1)
	}
	return &plainDaemon{jobs: jobs, log: log, timeout: timeout, slots: make(chan struct{}, 2)}
}

// post replaces an event of j that no run has taken yet.
func (d *plainDaemon) post(j *plainJob, event string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return os.ErrClosed
	}
	j.event.Store(&event)
	select {
	case j.wake <- struct{}{}:
	default:
	}
	return nil
}

// run runs jobs until stop ends. Then it runs the jobs at once that have an event.
// When kill ends, it ends the running helpers too, and returns the cause.
func (d *plainDaemon) run(stop, kill context.Context) error {
	var all sync.WaitGroup
	for _, j := range d.jobs {
		all.Go(func() { d.serve(j, stop, kill) })
	}
	<-stop.Done()
	d.mu.Lock()
	d.closed = true
	for _, j := range d.jobs {
		close(j.wake) // jobs in it stay there
	}
	d.mu.Unlock()
	all.Wait()
	return context.Cause(kill)
}

func (d *plainDaemon) serve(j *plainJob, stop, kill context.Context) {
	for range j.wake {
		select {
		case <-time.After(j.delay):
		case <-stop.Done():
		}
		select {
		case d.slots <- struct{}{}:
		case <-kill.Done():
			return
		}
		if event := j.event.Swap(nil); event != nil && kill.Err() == nil {
			d.handle(kill, j, *event)
		}
		<-d.slots
	}
}

// handle runs the script, and returns when all its processes have ended.
func (d *plainDaemon) handle(ctx context.Context, j *plainJob, event string) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	var out plainOutput
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", j.script)
	cmd.Dir = "/"
	cmd.Env = []string{"HOME=/", "PATH=/sbin:/usr/sbin:/bin:/usr/bin", "EVENT=" + event}
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = plainGrace
	if err := cmd.Start(); err != nil {
		d.log <- fmt.Sprintf("%s: %s: %v", j.name, event, err)
		return
	}
	d.log <- fmt.Sprintf("%s: %s: started", j.name, event)
	_ = cmd.Wait() // an error also if a child holds the output
	plainSweep(cmd.Process.Pid)
	d.log <- fmt.Sprintf("%s: %s: %v, %q", j.name, event, cmd.ProcessState, out.kept)
}

const plainGrace = time.Second

// plainSweep ends the processes that a helper has left behind. No call waits for
// them, so it asks again and again whether there are any.
func plainSweep(group int) {
	sig := syscall.SIGTERM
	for wait := time.Duration(0); syscall.Kill(-group, sig) == nil && wait < 5*time.Second; wait += time.Millisecond {
		time.Sleep(time.Millisecond)
		sig = 0
		if wait >= plainGrace {
			sig = syscall.SIGKILL
		}
	}
}

// A plainOutput keeps the first 64 bytes.
type plainOutput struct{ kept []byte }

func (o *plainOutput) Write(p []byte) (int, error) {
	o.kept = append(o.kept, p[:min(len(p), 64-len(o.kept))]...)
	return len(p), nil
}
