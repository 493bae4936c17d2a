package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/kprim/kprim/examples/internal/printk"
	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// A program is the code that a process runs.
type program func(p *process) error

// A shell starts programs, each in a thread, on a machine with one CPU. It has
// the CPU when no program has it.
type shell struct {
	out       io.Writer
	cpu       onecpu.CPU
	sleep     *procFile
	nanosleep waitqueue.Queue
	euid      int
	err       error // the first error of the shell itself
}

func newShell(out io.Writer) *shell {
	sh := &shell{out: out, nanosleep: waitqueue.Queue{Name: "nanosleep"}}
	sh.sleep = newProcFile(&sh.cpu, printk.New(out))
	return sh
}

func (sh *shell) printf(format string, args ...any) {
	fmt.Fprintf(sh.out, format, args...)
}

// prompt shows the use count of the module, and the command. Root types a
// command that begins with #.
func (sh *shell) prompt(command string) {
	sh.printf("%d %s\n", sh.sleep.useCount, command)
	sh.euid = 1000
	if command[0] == '#' {
		sh.euid = 0
	}
}

// start starts a program, and returns when it has ended or sleeps.
func (sh *shell) start(name string, program program) *kthread.Thread {
	euid := sh.euid
	return sh.cpu.Start(name, func(cur *kthread.Current) error {
		if err := cur.Allow(syscall.SIGINT, syscall.SIGTERM); err != nil {
			return err
		}
		if err := program(&process{cur, euid}); err != nil {
			sh.printf("%s: %v\n", name, err)
		}
		return nil
	})
}

// wait waits until the thread has ended and the threads that it woke have run.
func (sh *shell) wait(thread *kthread.Thread) {
	sh.cpu.Sleep(func() {
		sh.err = cmp.Or(sh.err, thread.Wait(context.Background()))
	})
}

// run types a command, and waits until it has ended.
func (sh *shell) run(command string, program program) {
	sh.prompt(command)
	sh.wait(sh.start(strings.Fields(command)[1], program))
}

// background types a command that ends with &. The process has a short name.
func (sh *shell) background(command, name string, p program) *kthread.Thread {
	sh.prompt(command)
	return sh.start(name, p)
}

// kill sends a signal, and waits until the thread has ended.
func (sh *shell) kill(command string, t *kthread.Thread, sig syscall.Signal) {
	sh.prompt(command)
	sh.err = cmp.Or(sh.err, t.Signal(sig))
	sh.wait(t)
}

// ps shows the state of each thread, and the queue on which it sleeps.
func (sh *shell) ps(threads ...*kthread.Thread) {
	sh.prompt("# ps -o comm,stat,wchan")
	for _, thread := range threads {
		info := thread.Info()
		sh.printf("%s %v %s\n", info.Comm(), info.State, info.Wchan)
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
		sh.printf("rmmod: module 'sleep' is in use\n")
	}
}
