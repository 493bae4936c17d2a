package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/waitqueue"
)

// session prints the commands of root, their output, and the console.
func session(ctx context.Context, w io.Writer, args []string) (err error) {
	out := &screen{Writer: w}
	defer func() { err = cmp.Or(out.err, err) }()
	mail := len(args) == 1 && args[0] == "-mail"
	if len(args) > 0 && !mail {
		return errors.New("usage: kthread-loop [-mail]")
	}
	helper, err := installHelper(mail)
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(helper))
	if len(helper) > 255 {
		return fmt.Errorf("the entry keeps 255 bytes of the path: %s", helper)
	}
	// The kernel has the entry before the module is loaded.
	var handler sysctl.Var[string]
	var proc sysctl.Tree
	if _, err := proc.Register("kernel", entry(&handler)); err != nil {
		return err
	}

	// A pipe is a slow console: a thread that prints waits until the line was
	// read. So the thread goes on only when dmesg has read its line.
	console, lines := io.Pipe()
	m := newModule(ctx, lines, &handler)
	s := &shell{m: m, proc: &proc, out: out, console: bufio.NewScanner(console)}
	m.load()
	defer m.thread.Stop()
	defer console.Close() // runs before Stop: no print waits any more
	err = s.work(helper)
	// Without a helper's run there is no mailbox.
	text, _ := os.ReadFile(filepath.Join(filepath.Dir(helper), "mailbox"))
	fmt.Fprintf(out, "# cat mailbox\n%s", text)
	return err
}

// A shell takes the commands of root, and shows the console.
type shell struct {
	m       *module
	proc    *sysctl.Tree
	out     io.Writer
	console *bufio.Scanner
	posted  int
}

// work has the network fill two buffers.
func (s *shell) work(helper string) error {
	a, b := &buffer{id: 9527, free: 4096}, &buffer{id: 4711, free: 4096}
	err := errors.Join(s.stat(), s.registerLong(helper))
	if err != nil {
		return err
	}
	s.receive(a, 2000)
	s.receive(a, 1500)
	s.dmesg(2) // the alert has failed
	fmt.Fprintf(s.out, "# echo %s > %s\n", helper, entryPath)
	if _, err := s.register(helper); err != nil {
		return err
	}
	s.receive(a, 100)
	s.dmesg(1) // the thread has taken the event
	s.receive(b, 3200)
	s.receive(b, 500)
	s.dmesg(3)
	s.m.settle()
	s.ps()

	fmt.Fprintln(s.out, "# killall -KILL mykthread")
	if err := s.m.thread.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	s.dmesg(1)
	if err := s.m.thread.Wait(context.Background()); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "posted %d: served %d, failed %d, coalesced %d\n",
		s.posted, s.m.served, s.m.failed, s.m.myevent.Overwritten())
	if lost := s.m.failed - 1; lost > 0 { // the first had to fail
		return fmt.Errorf("%d alerts were not sent", lost)
	}
	return nil
}

func (s *shell) receive(b *buffer, n int) {
	if s.m.receive(b, n) {
		s.posted++
	}
	fmt.Fprintf(s.out, "net: %d receives %d bytes, %d are free\n",
		b.id, n, b.free)
}

// dmesg shows the next n lines that the kernel prints.
func (s *shell) dmesg(n int) {
	for range n {
		s.console.Scan()
		fmt.Fprintln(s.out, s.console.Text())
	}
}

func (s *shell) ps() {
	info := s.m.thread.Info()
	fmt.Fprintf(s.out, "# ps -o comm,stat,wchan\n[%s] %v %s\n",
		info.Comm(), info.State, info.Wchan)
}

// settle waits until the thread has served all events and sleeps. It gives up
// when the thread is gone. The caller knows that the thread will sleep soon.
func (m *module) settle() {
	for {
		// First the events, then the state: a thread that sleeps after the
		// last event was taken does not wake up by itself.
		idle := m.myevent.Len() == 0
		switch m.thread.Info().State {
		case waitqueue.Interruptible:
			if idle {
				return
			}
		case waitqueue.Dead:
			return
		}
		runtime.Gosched()
	}
}
