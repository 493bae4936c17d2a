//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing/iotest"
	"time"

	"github.com/kprim/kprim/usermodehelper"
)

// A helper gets its standard input, and its output is kept.
func ExampleHelper() {
	var out usermodehelper.Output
	h := usermodehelper.Helper{
		Path:   "/usr/bin/wc",
		Argv:   []string{"wc", "-c"},
		Envp:   usermodehelper.Environ(),
		Input:  []byte("disk full\n"),
		Output: &out,
	}
	status, err := h.Exec(context.Background(), usermodehelper.WaitProc)
	var n int
	_, _ = fmt.Sscan(out.String(), &n)
	fmt.Println(status, err, n)
	// Output: exit status 0 <nil> 10
}

// Init adds a file, which becomes the descriptor 3. Cleanup closes it.
func ExampleHelper_init() {
	var report *os.File
	h := usermodehelper.Helper{
		Path: "/bin/sh",
		Argv: []string{"sh", "-c", "echo done >&3"},
		Init: func(attr *os.ProcAttr) (err error) {
			report, err = os.CreateTemp("", "report")
			attr.Files = append(attr.Files, report)
			return err
		},
		Cleanup: func(r usermodehelper.Result) {
			text, _ := os.ReadFile(report.Name())
			fmt.Printf("%v, %s", r.Status, text)
			_, _ = report.Close(), os.Remove(report.Name())
		},
	}
	_, _ = h.Exec(context.Background(), usermodehelper.WaitProc)
	// Output: exit status 0, done
}

// A reader gives the input. If it fails, the helper is ended before it takes a part of
// the input for the whole.
func ExampleHelper_inputFrom() {
	out := usermodehelper.Output{}
	h := usermodehelper.Helper{
		Path:      "/bin/sh",
		Argv:      []string{"sh", "-c", "cat > /dev/null; echo got all"},
		InputFrom: io.MultiReader(strings.NewReader("half of it"), iotest.ErrReader(errors.New("link is down"))),
		Output:    &out,
	}
	status, err := h.Exec(context.Background(), usermodehelper.WaitProc)
	fmt.Println(status)
	fmt.Println(err)
	fmt.Println(out.Bytes())
	// Output:
	// signal: terminated
	// usermodehelper: /bin/sh was ended (signal: terminated): InputFrom failed: link is down
	// []
}

// Cleanup logs how each helper ended. Started and Cleanup have no need to share a pid.
func ExampleResult() {
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: onlyStable}))
	h := usermodehelper.Helper{
		Path: "/bin/sh",
		Argv: []string{"sh", "-c", "exit 3"},
		Cleanup: func(r usermodehelper.Result) {
			if r.Failure() != nil {
				log.Error("no alert was sent", "helper", r)
			}
		},
	}
	_, _ = h.Exec(context.Background(), usermodehelper.WaitProc)
	h.Path = "/missing"
	_, _ = h.Exec(context.Background(), usermodehelper.WaitProc)
	// Output:
	// level=ERROR msg="no alert was sent" helper.path=/bin/sh helper.status="exit status 3"
	// level=ERROR msg="no alert was sent" helper.path=/missing helper.error="usermodehelper: fork/exec /missing: no such file or directory"
}

// onlyStable leaves out the values that another run changes.
func onlyStable(_ []string, a slog.Attr) slog.Attr {
	switch a.Key {
	case slog.TimeKey, "pid", "took", "user", "system", "max_rss":
		return slog.Attr{}
	}
	return a
}

// A helper that takes too long is ended, with all processes that it has started.
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

// Output keeps the bytes that the helper writes, up to a limit.
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

// The lines are printed as they come. Standard error is kept apart.
func ExampleOutput_lines() {
	h := usermodehelper.Helper{
		Path:   "/bin/sh",
		Argv:   []string{"sh", "-c", "echo step 1; echo warning >&2; echo step 2"},
		Output: &usermodehelper.Output{Line: func(line string) { fmt.Println("alert:", line) }},
		Errors: new(usermodehelper.Output),
	}
	_, _ = h.Exec(context.Background(), usermodehelper.WaitProc)
	fmt.Print(h.Errors)
	// Output:
	// alert: step 1
	// alert: step 2
	// warning
}

// The last bytes are kept too, because the reason of a failure comes last.
func ExampleOutput_tail() {
	out := usermodehelper.Output{Max: 4, Tail: 12}
	h := usermodehelper.Helper{
		Path:   "/bin/sh",
		Argv:   []string{"sh", "-c", "echo 1; echo 2; echo 3; echo 4; echo disk full; exit 1"},
		Output: &out,
	}
	_, _ = h.Exec(context.Background(), usermodehelper.WaitProc)
	fmt.Print(&out)
	// Output:
	// 1
	// 2
	// [cut: 2 bytes more]4
	// disk full
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

// Disable waits until no helper runs, and no other one starts: before an update of the
// helpers' files, or before the program ends.
func ExampleGate_Disable() {
	var gate usermodehelper.Gate
	h := usermodehelper.Helper{
		Path: "/bin/sh", Argv: []string{"sh", "-c", "sleep 0.1"}, Gate: &gate,
		Cleanup: func(r usermodehelper.Result) { fmt.Println("helper is over:", r.Status) },
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

// At most two helpers start within a tenth of a second. The third one waits.
func ExampleGate_rate() {
	gate := usermodehelper.Gate{Burst: 2, Interval: 100 * time.Millisecond}
	h := usermodehelper.Helper{Path: "/bin/sh", Argv: []string{"sh", "-c", "exit 0"}, Gate: &gate}
	begun := time.Now()
	for range 3 {
		_, _ = h.Exec(context.Background(), usermodehelper.WaitProc)
	}
	fmt.Println(time.Since(begun) >= gate.Interval)
	// Output: true
}

// One helper runs and one waits. A third one is refused, and its error says why.
func ExampleGate_queue() {
	gate := usermodehelper.Gate{Max: 1, Queue: 1}
	ctx, cancel := context.WithCancel(context.Background())
	h := usermodehelper.Helper{Path: "/bin/sh", Argv: []string{"sh", "-c", "sleep 1000"}, Gate: &gate}
	_, _ = h.Exec(ctx, usermodehelper.NoWait)
	_, _ = h.Exec(ctx, usermodehelper.NoWait)
	_, err := h.Exec(ctx, usermodehelper.NoWait)
	fmt.Println("queue full:", errors.Is(err, syscall.ENOBUFS))
	cancel()
	_ = gate.Wait(context.Background())
	// Output: queue full: true
}

// Wait returns when the two helpers are over. Other helpers may start meanwhile.
func ExampleGate_Wait() {
	gate := usermodehelper.Gate{Max: 1}
	h := usermodehelper.Helper{
		Path: "/bin/sh", Argv: []string{"sh", "-c", "exit 3"}, Gate: &gate,
		Cleanup: func(r usermodehelper.Result) { fmt.Println("over:", r.Status) },
	}
	for range 2 {
		_, _ = h.Exec(context.Background(), usermodehelper.NoWait)
	}
	fmt.Println(gate.Wait(context.Background()))
	// Output:
	// over: exit status 3
	// over: exit status 3
	// <nil>
}
