package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"strings"
	"syscall"

	"github.com/kprim/kprim/examples/internal/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// A shell starts programs, each in a thread, on a machine with one CPU. It has
// the CPU whenever no program has.
type shell struct {
	out       io.Writer
	cpu       onecpu.CPU
	sleep     *procFile
	nanosleep waitqueue.Queue
	err       error // the first that is the shell's own
}

// A job is a program that was started.
type job struct {
	name   string
	thread *kthread.Thread
	task   *waitqueue.Task // the thread's
}

func newShell(out io.Writer) *shell {
	sh := &shell{out: out, nanosleep: waitqueue.Queue{Name: "nanosleep"}}
	sh.sleep = newProcFile(&sh.cpu, log.New(out, "kernel: ", 0).Printf)
	return sh
}

func (sh *shell) printf(format string, args ...any) { fmt.Fprintf(sh.out, format, args...) }

// prompt shows the use count of the module, and what is typed.
func (sh *shell) prompt(command string) { sh.printf("%d %s\n", sh.sleep.useCount, command) }

// start starts a program, and returns when it has ended or sleeps. A command
// that begins with # is root's.
func (sh *shell) start(command, name string, program func(p *process) error) *job {
	sh.prompt(command)
	euid := 0
	if command[0] != '#' {
		euid = 1000
	}
	j := &job{name: name}
	main := func(cur *kthread.Current) error {
		sh.cpu.Lock()
		defer sh.cpu.Unlock()
		j.task = cur.Task()
		cur.Ready() // start goes on, but has to wait for the CPU
		if err := cur.Allow(syscall.SIGINT, syscall.SIGTERM); err != nil {
			return err
		}
		if err := program(&process{cur, name, euid}); err != nil {
			sh.printf("%s: %v\n", name, err)
		}
		return nil
	}
	sh.cpu.Sleep(func() {
		var err error
		j.thread, err = kthread.Start(context.Background(), name, main)
		sh.err = cmp.Or(sh.err, err)
	})
	return j
}

// wait waits until the job has ended, and those whom it woke have run.
func (sh *shell) wait(j *job) {
	sh.cpu.Sleep(func() {
		sh.err = cmp.Or(sh.err, j.thread.Wait(context.Background()))
	})
}

// run is start and wait.
func (sh *shell) run(command string, program func(p *process) error) {
	sh.wait(sh.start(command, strings.Fields(command)[1], program))
}

func (sh *shell) kill(command string, j *job, sig syscall.Signal) {
	sh.prompt(command)
	sh.err = cmp.Or(sh.err, j.thread.Signal(sig))
	sh.wait(j)
}

// ps shows the state of each job, and on what it sleeps.
func (sh *shell) ps(jobs ...*job) {
	sh.prompt("# ps -o comm,stat,wchan")
	for _, j := range jobs {
		sh.printf("%s %v %s\n", j.name, j.task.State(), j.task.Wchan())
	}
}

func (sh *shell) ls() {
	sh.prompt("# ls -ln /proc/sleep")
	mode, links, uid, gid, size := sh.sleep.stat()
	sh.printf("%v %d %d %d %d /proc/sleep\n", mode, links, uid, gid, size)
}

func (sh *shell) rmmod() {
	sh.prompt("# rmmod sleep")
	if errors.Is(sh.sleep.unload(), syscall.EBUSY) {
		sh.printf("sleep: device or resource busy\n")
	}
}
