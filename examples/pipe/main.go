// Pipe is a bounded buffer, as a pipe of the kernel: a writer sleeps while it
// is full, a reader sleeps while it is empty, and each can go away. Three
// broken waits show why the right one has a loop, two queues and a free lock.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/waitqueue/explore"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pipe:", err)
		os.Exit(status(err))
	}
}

var errUsage = errors.New("usage: pipe, or pipe -step GAME, " +
	"or pipe -hint GAME, or pipe -show GAME; a GAME is if, queue or lock")

func status(err error) int {
	if errors.Is(err, errUsage) {
		return 2
	}
	return step.Status(err)
}

// run shows the session without arguments, and plays a game with them. The last
// argument is the name of the game.
func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return session(out)
	}
	last := len(args) - 1
	game, found := games[args[last]]
	if !found {
		return errUsage
	}
	played, err := step.Play(args[:last], in, out, game)
	if err == nil && !played {
		return errUsage
	}
	return err
}

// session shows the processes, and then how many orders of a few threads' steps
// are bad.
func session(out io.Writer) error {
	if err := processes(out); err != nil {
		return err
	}
	fmt.Fprintln(out, "# all orders of the steps of readers and a writer")
	every(out, "right", model(two, waitFor, twoQueues))
	for _, name := range []string{"if", "queue", "lock"} {
		every(out, name, games[name].Model)
	}
	return nil
}

// every counts the orders of a model, and shows why the simplest bad one is
// bad.
func every(out io.Writer, name string, model func(*explore.Model)) {
	found := explore.Search{}.Run(model)
	fmt.Fprintf(out, "%-5s  %4d orders, %3d bad", name, found.Orders, found.Bad)
	if found.Simplest != nil {
		fmt.Fprintf(out, ": %s", found.Simplest.Fault)
	}
	fmt.Fprintln(out)
}

// processes shows how processes use a pipe.
func processes(out io.Writer) error {
	sh := &shell{out: out}
	sh.cpu.Lock()
	defer sh.cpu.Unlock()
	sh.fill()
	sh.nonblock()
	sh.poll()
	sh.brokenPipe()
	return sh.ctrlC()
}

// pipe makes a pipe that has room for four bytes, in one page.
func (sh *shell) pipe() (r, w *file) { return newPipe(new(sync.Mutex), 1, 4) }

func (sh *shell) fill() {
	fmt.Fprintln(sh.out, "# writer | reader, with a pipe of 4 bytes")
	r, w := sh.pipe()
	writer := sh.start("writer", func(pr *process) {
		pr.write(w, "abcd")
		pr.write(w, "ef") // the buffer is full
		pr.close(w)
	})
	sh.ps(writer)
	sh.start("reader", func(pr *process) {
		pr.read(r, 8)
		pr.read(r, 8) // the buffer is empty
		pr.read(r, 8) // and the writer is gone
	})
}

func (sh *shell) nonblock() {
	fmt.Fprintln(sh.out, "# O_NONBLOCK")
	r, w := sh.pipe()
	r.nonblock, w.nonblock = true, true
	sh.start("hasty", func(pr *process) {
		pr.read(r, 8)
		pr.write(w, "abcdef")
		pr.write(w, "g")
	})
}

// poll has a process between two pipes. It has nothing to read, and no room to
// write.
func (sh *shell) poll() {
	fmt.Fprintln(sh.out, "# writer | relay | reader")
	in, w := sh.pipe()
	r, out := sh.pipe()
	relay := sh.start("relay", func(pr *process) {
		pr.write(out, "abcd")
		pr.poll(in, out)
		pr.read(in, 8)
		pr.poll(in, out)
		pr.write(out, "x")
		pr.poll(in, out)
	})
	sh.ps(relay)
	sh.start("writer", func(pr *process) { pr.write(w, "x") })
	sh.start("reader", func(pr *process) { pr.read(r, 8) })
	sh.start("writer", func(pr *process) { pr.close(w) })
}

func (sh *shell) brokenPipe() {
	fmt.Fprintln(sh.out, "# the reader goes away")
	r, w := sh.pipe()
	sh.start("writer", func(pr *process) {
		pr.write(w, "abcdef") // 4 bytes and a signal
		pr.write(w, "g")
	})
	sh.start("reader", func(pr *process) { pr.close(r) })
}

func (sh *shell) ctrlC() error {
	fmt.Fprintln(sh.out, "# Ctrl-C")
	r, _ := sh.pipe()
	reader := sh.start("reader", func(pr *process) { pr.read(r, 8) })
	sh.ps(reader)
	return sh.interrupt(reader)
}
