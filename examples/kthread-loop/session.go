package main

import (
	"bufio"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/waitqueue"
)

// session is what is typed, and what is shown.
func session(ctx context.Context, out io.Writer) error {
	helper, err := installHelper()
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(helper))

	// The entry is part of the kernel: kernel/sysctl.c has it.
	var handler sysctl.String
	var proc sysctl.Tree
	header, err := proc.Register("kernel", sysctl.Entry{
		Name:    "myevent_handler",              // .procname = "myevent_handler"
		Mode:    0o644,                          // .mode = 0644
		Handler: sysctl.DoString(&handler, 256), // .maxlen = 256, .proc_handler = &proc_dostring
	})
	if err != nil {
		return err
	}
	defer header.Unregister()

	fmt.Fprintf(out, "# echo %s > /proc/sys/kernel/myevent_handler\n", helper)
	err = proc.WriteFile(sysctl.Root, "kernel/myevent_handler", []byte(helper+"\n"))
	if err != nil {
		return err
	}
	if kept := handler.Load(); kept != helper {
		return fmt.Errorf("the entry keeps 255 bytes without a word; of the helper's path that is %s", kept)
	}

	// A pipe is a slow console: whoever prints waits until the line was read.
	// So the thread does not end a service before we look.
	console, w := io.Pipe()
	s := &shell{m: newModule(ctx, w, &handler), out: out, console: bufio.NewScanner(console)}
	fmt.Fprintln(out, "# insmod mykthread.ko")
	s.m.load()
	defer s.m.thread.Stop()
	defer console.Close() // before the stop, so that nobody prints any more
	if err := s.work(); err != nil {
		return err
	}
	fmt.Fprintln(out, "# cat mailbox")
	text, err := os.ReadFile(filepath.Join(filepath.Dir(helper), "mailbox"))
	if err == nil {
		_, err = out.Write(text)
	}
	return err
}

// A shell is what root types into, with the console above it.
type shell struct {
	m       *module
	out     io.Writer
	console *bufio.Scanner
	posted  int
}

// work has the network fill two buffers.
func (s *shell) work() error {
	a, b := &buffer{id: 9527, free: 4096}, &buffer{id: 4711, free: 4096}
	s.m.settle()
	s.receive(a, 2000)
	s.receive(a, 1500)
	s.dmesg(1) // the thread has taken the event
	s.receive(b, 3200)
	s.receive(b, 500)
	s.dmesg(3)
	s.m.settle()
	fmt.Fprint(s.out, "# ps\n", kthread.Tasks())

	fmt.Fprintln(s.out, "# killall -KILL mykthread")
	if err := s.m.thread.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	s.dmesg(1)
	if err := s.m.thread.Wait(context.Background()); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "posted %d, served %d, coalesced %d\n", s.posted, s.m.served, s.m.myevent.Overwritten())
	if s.m.failed > 0 {
		return fmt.Errorf("%d alerts were not sent", s.m.failed)
	}
	return nil
}

func (s *shell) receive(b *buffer, n int) {
	if s.m.receive(b, n) {
		s.posted++
	}
	fmt.Fprintf(s.out, "net: %d receives %d bytes, %d are free\n", b.id, n, b.free)
}

// dmesg shows the next n lines that the kernel prints.
func (s *shell) dmesg(n int) {
	for range n {
		s.console.Scan()
		fmt.Fprintln(s.out, s.console.Text())
	}
}

// settle waits until the thread sleeps and all that was posted is served, which
// is so in a moment: it is called when nothing is left to serve but the way to
// sleep. It gives up when the thread is gone.
func (m *module) settle() {
	for {
		// In this order: who sleeps when nothing is left sleeps on.
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

//go:embed helper.sh
var script []byte

// installHelper returns the path of the helper, which is in a new directory.
func installHelper() (string, error) {
	dir, err := os.MkdirTemp("", "kthread-loop-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "helper")
	if err = os.WriteFile(path, script, 0o755); err != nil { // chmod +x helper
		_ = os.RemoveAll(dir)
		return "", err
	}
	return path, nil
}
