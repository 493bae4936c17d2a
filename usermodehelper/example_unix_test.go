//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/kprim/kprim/usermodehelper"
)

// A helper that is given its input. Init has the last word on what the process
// gets; what it opens is closed in Cleanup.
func ExampleHelper() {
	var input *os.File
	var out usermodehelper.Output
	h := usermodehelper.Helper{
		Path:   "/usr/bin/wc",
		Argv:   []string{"wc", "-c"},
		Envp:   usermodehelper.Environ(),
		Output: &out,
		Init: func(attr *os.ProcAttr) error {
			r, w, err := os.Pipe()
			if err != nil {
				return err
			}
			defer w.Close()
			input = r
			attr.Files[0] = r
			_, err = w.WriteString("disk full\n") // short enough for a pipe without a reader
			return err
		},
		Cleanup: func(usermodehelper.Status, error) {
			_ = input.Close() // of a nil file is an error, and no harm
		},
	}
	status, err := h.Exec(context.Background(), usermodehelper.WaitProc)
	var n int
	_, _ = fmt.Sscan(out.String(), &n)
	fmt.Println(status, err, n)
	// Output: exit status 0 <nil> 10
}

// A helper that takes too long is ended, with all that it has started.
func ExampleHelper_timeout() {
	h := usermodehelper.Helper{
		Path:    "/bin/sh",
		Argv:    []string{"sh", "-c", "sleep 1000 & sleep 1000"},
		Envp:    usermodehelper.Environ(),
		Timeout: 50 * time.Millisecond,
	}
	status, err := h.Exec(context.Background(), usermodehelper.WaitProc)
	fmt.Println(status, errors.Is(err, syscall.ETIMEDOUT))
	// Output: signal: terminated true
}

// What the helper says, up to a limit.
func ExampleOutput() {
	out := usermodehelper.Output{Max: 16}
	h := usermodehelper.Helper{
		Path:   "/bin/sh",
		Argv:   []string{"sh", "-c", "echo checking; echo it is broken >&2; exit 3"},
		Output: &out,
	}
	status, err := h.Exec(context.Background(), usermodehelper.WaitProc)
	fmt.Println(status, err)
	fmt.Println(&out)
	// Output:
	// exit status 3 <nil>
	// checking
	// it is b[cut: 6 bytes more]
}

// Two helpers may run at once, of one program only, until they are disabled.
func ExampleGate() {
	gate := usermodehelper.Gate{Max: 2, Allow: []string{"/bin/sh"}}
	h := usermodehelper.Helper{Path: "/bin/sh", Argv: []string{"sh", "-c", "exit 3"}, Gate: &gate}
	fmt.Println(h.Exec(context.Background(), usermodehelper.WaitProc))

	h.Path = "/bin/ls"
	_, err := h.Exec(context.Background(), usermodehelper.WaitProc)
	fmt.Println(err)
	// Output:
	// exit status 3 <nil>
	// usermodehelper: /bin/ls is not on the list of programs: operation not permitted
}

// How to have no helper running, and none starting: before an update of the
// helpers' files, or on the way out.
func ExampleGate_Disable() {
	var gate usermodehelper.Gate
	h := usermodehelper.Helper{
		Path: "/bin/sh", Argv: []string{"sh", "-c", "sleep 0.1"}, Gate: &gate,
		Cleanup: func(status usermodehelper.Status, err error) { fmt.Println("helper is over:", status) },
	}
	_, _ = h.Exec(context.Background(), usermodehelper.WaitExec) // it runs now

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	fmt.Println("disabled:", gate.Disable(ctx))
	next := usermodehelper.Helper{Path: "/bin/ls", Gate: &gate}
	_, err := next.Exec(context.Background(), usermodehelper.WaitProc)
	fmt.Println("refused:", errors.Is(err, syscall.EBUSY))
	gate.Enable()
	// Output:
	// helper is over: exit status 0
	// disabled: <nil>
	// refused: true
}
