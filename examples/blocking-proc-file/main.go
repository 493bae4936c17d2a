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
	sh.prompt("# tail -f /proc/sleep &")
	a := sh.start("A", sh.tail)
	sh.run("# cat_nonblock /proc/sleep", sh.catNonblock)

	sh.prompt("# tail -f /proc/sleep & tail -f /proc/sleep &")
	b, c := sh.start("B", sh.tail), sh.start("C", sh.tail)
	sh.ps(a, b, c)
	sh.rmmod()

	sh.kill("# kill A", a, syscall.SIGTERM)     // then C has the file
	sh.kill("# kill -INT B", b, syscall.SIGINT) // Ctrl-C
	sh.run("$ echo hello > /proc/sleep", sh.write("hello\n"))
	sh.kill("# kill C", c, syscall.SIGTERM)
	sh.run("# echo hello > /proc/sleep", sh.write("hello\n"))
	sh.run("# cat_nonblock /proc/sleep", sh.catNonblock)

	digits := strings.Repeat("0123456789", 10)
	sh.run("# head -c 100 digits > /proc/sleep", sh.write(digits))
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
	sh.printf("%s: ", file.name)
	if _, err = io.Copy(sh.out, file); err != nil {
		return err
	}
	wait := waitqueue.Entry{Task: p.Task()}
	sh.nanosleep.Add(&wait)
	defer sh.nanosleep.Remove(&wait)
	for !p.Interrupted() {
		p.Task().SetState(waitqueue.Interruptible)
		sh.cpu.Schedule(p.Task()) // sleep(1), as long as nothing is added
	}
	return nil
}

// write writes text, and again what of it was not taken. If that takes several
// calls, it shows them.
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
