// Blocking-proc-file is a kernel module with a file, /proc/sleep, that one
// process at a time can have open. Who opens it meanwhile is put to sleep.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/kprim/kprim/waitqueue"
)

func main() {
	if err := session(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "blocking-proc-file:", err)
		os.Exit(1)
	}
}

// session is what is typed, and what is shown. A prompt begins with the use
// count of the module.
func session(out io.Writer) error {
	sh := newShell(out)
	sh.cpu.Lock()
	defer sh.cpu.Unlock()

	sh.ls()
	sh.run("# cat_nonblock /proc/sleep", sh.catNonblock)
	a := sh.start("# tail -f /proc/sleep &", "A", sh.tail)
	sh.run("# cat_nonblock /proc/sleep", sh.catNonblock)

	b := sh.start("# tail -f /proc/sleep &", "B", sh.tail)
	c := sh.start("# tail -f /proc/sleep &", "C", sh.tail)
	sh.ps(a, b, c)
	sh.rmmod()

	sh.kill("# kill A", a, syscall.SIGTERM)     // it closes the file, and one of the others gets it
	sh.kill("# kill -INT B", b, syscall.SIGINT) // Ctrl-C
	sh.run("$ echo hello > /proc/sleep", sh.echo("hello\n"))
	sh.kill("# kill C", c, syscall.SIGTERM)
	sh.run("# cat_nonblock /proc/sleep", sh.catNonblock)

	sh.run("# head -c 100 digits > /proc/sleep", sh.echo(strings.Repeat("0123456789", 10)))
	sh.run("# cat_nonblock /proc/sleep", sh.catNonblock)
	sh.rmmod()
	return sh.err
}

// catNonblock shows the file, if that can be done at once.
func (sh *shell) catNonblock(p *process) error {
	file, err := sh.sleep.open(p, readOnly|nonblock)
	if errors.Is(err, syscall.EAGAIN) {
		sh.printf("Open would block\n")
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(sh.out, file)
	return err
}

// tail shows the file, and has it open until a signal comes.
func (sh *shell) tail(p *process) error {
	file, err := sh.sleep.open(p, readOnly)
	if err != nil {
		return err
	}
	defer file.Close()
	sh.printf("%s: ", p.name)
	if _, err = io.Copy(sh.out, file); err != nil {
		return err
	}
	wait := waitqueue.Entry{Task: p.Task()}
	sh.nanosleep.Add(&wait)
	defer sh.nanosleep.Remove(&wait)
	for !p.Pending() {
		p.Task().SetState(waitqueue.Interruptible)
		sh.cpu.Schedule(p.Task()) // sleep(1), for as long as nothing is added
	}
	return nil
}

// echo writes text, and again what of it was not taken.
func (sh *shell) echo(text string) func(p *process) error {
	return func(p *process) error {
		file, err := sh.sleep.open(p, writeOnly)
		if err != nil {
			return err
		}
		defer file.Close()
		for rest := text; rest != ""; {
			n, err := io.WriteString(file, rest)
			if err != nil && !errors.Is(err, io.ErrShortWrite) {
				return err
			}
			sh.printf("write of %d bytes: %d\n", len(rest), n)
			rest = rest[n:]
		}
		return nil
	}
}
