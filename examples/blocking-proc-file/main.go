// Blocking-proc-file is a kernel module with a file, /proc/sleep, that one
// process at a time can have open. The other openers sleep until a close.
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

// session types commands, and shows their output. A prompt begins with the use
// count of the module.
func session(out io.Writer) error {
	sh := newShell(out)
	sh.cpu.Lock()
	defer sh.cpu.Unlock()

	sh.ls()
	sh.run("# cat_nonblock /proc/sleep", sh.catNonblock)
	a := sh.background("# tail -f /proc/sleep &", "A", sh.tail)
	sh.run("# cat_nonblock /proc/sleep", sh.catNonblock)
	b := sh.background("# cat /proc/sleep &", "B", sh.cat)
	c := sh.background("# cat /proc/sleep &", "C", sh.cat)
	sh.ps(a, b, c)
	sh.rmmod()
	sh.kill("# kill A", a, syscall.SIGTERM) // C has the file, then B

	d := sh.background("# tail -f /proc/sleep &", "D", sh.tail)
	e := sh.background("# tail -f /proc/sleep &", "E", sh.tail)
	f := sh.background("# tail -f /proc/sleep &", "F", sh.tail)
	sh.kill("# kill D", d, syscall.SIGTERM)     // F keeps the file
	sh.kill("# kill -INT E", e, syscall.SIGINT) // Ctrl-C
	sh.run("$ echo hello > /proc/sleep", sh.write("hello\n"))
	sh.kill("# kill F", f, syscall.SIGTERM)

	sh.run("# echo hello > /proc/sleep", sh.write("hello\n"))
	sh.run("# cat_nonblock /proc/sleep", sh.catNonblock)
	digits := strings.Repeat("0123456789", 10)
	sh.run("# cat digits > /proc/sleep", sh.write(digits))
	sh.run("# cat_nonblock /proc/sleep", sh.catNonblock)
	sh.rmmod()
	return sh.err
}

// catNonblock shows the file if that is possible at once.
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

// cat shows the file.
func (sh *shell) cat(p *process) error {
	file, err := sh.sleep.open(p, readOnly)
	if err != nil {
		return err
	}
	defer file.Close()
	return sh.show(file)
}

// tail shows the file, and has it open until a signal comes.
func (sh *shell) tail(p *process) error {
	file, err := sh.sleep.open(p, readOnly)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := sh.show(file); err != nil {
		return err
	}
	wait := waitqueue.Entry{Task: p.Task()}
	sh.nanosleep.Add(&wait)
	defer sh.nanosleep.Remove(&wait)
	for !p.Interrupted() {
		p.Task().SetState(waitqueue.Interruptible)
		sh.cpu.Schedule(p.Task()) // sleep(1), as long as the file is the same
	}
	return nil
}

// show prints the file's text behind the name of the process.
func (sh *shell) show(file *file) error {
	sh.printf("%s: ", file.name)
	_, err := io.Copy(sh.out, file)
	return err
}

// write writes text, and then the part that the call before did not take. It
// shows the calls if there is more than one.
func (sh *shell) write(text string) program {
	return func(p *process) error {
		file, err := sh.sleep.open(p, writeOnly)
		if err != nil {
			return err
		}
		defer file.Close()
		var calls []string
		for rest := text; rest != ""; {
			n, err := io.WriteString(file, rest)
			if err != nil && !errors.Is(err, io.ErrShortWrite) {
				return err
			}
			calls = append(calls, fmt.Sprintf("write(%d) = %d", len(rest), n))
			rest = rest[n:]
		}
		if len(calls) > 1 {
			sh.printf("%s\n", strings.Join(calls, ", "))
		}
		return nil
	}
}
