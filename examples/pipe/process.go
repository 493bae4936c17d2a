package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"syscall"

	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// A shell starts processes on a machine with one CPU. It has the CPU when no
// process has it.
type shell struct {
	out       io.Writer
	cpu       onecpu.CPU
	processes []*kthread.Thread
}

// A process is a thread that makes system calls.
type process struct {
	*kthread.Current
	shell *shell
	line  // of the call that it makes
}

// start starts a process, and returns when all processes sleep or have ended.
func (sh *shell) start(name string, program func(pr *process)) *kthread.Thread {
	thread := sh.cpu.Start(name, func(cur *kthread.Current) error {
		if err := cur.Allow(syscall.SIGINT); err != nil {
			return err
		}
		program(&process{cur, sh, line{out: sh.out, process: name}})
		return nil
	})
	sh.processes = append(sh.processes, thread)
	for sh.running() {
		sh.cpu.Yield()
	}
	return thread
}

func (sh *shell) running() bool {
	for _, thread := range sh.processes {
		if thread.Info().State == waitqueue.Running {
			return true
		}
	}
	return false
}

// ps shows the state of a process, and the queue on which it sleeps.
func (sh *shell) ps(thread *kthread.Thread) {
	info := thread.Info()
	fmt.Fprintln(sh.out, "$ ps -o comm,stat,wchan")
	fmt.Fprintln(sh.out, info.Comm(), info.State, info.Wchan)
}

// interrupt types Ctrl-C, and waits until the process has ended.
func (sh *shell) interrupt(thread *kthread.Thread) (err error) {
	fmt.Fprintln(sh.out, "^C")
	if err := thread.Signal(syscall.SIGINT); err != nil {
		return err
	}
	sh.cpu.Sleep(func() { err = thread.Wait(context.Background()) })
	return err
}

// WaitExclusiveLocked gives up the CPU while it sleeps. It has the steps of the
// kernel: mutex_unlock, wait_event_interruptible_exclusive, mutex_lock.
func (pr *process) WaitExclusiveLocked(
	q *waitqueue.Queue, l sync.Locker, cond func() bool,
) error {
	pr.unfinished()
	l.Unlock()
	defer l.Lock()
	sleeper := onecpu.Sleeper{Current: pr.Current, CPU: &pr.shell.cpu}
	return sleeper.WaitExclusive(q, cond)
}
