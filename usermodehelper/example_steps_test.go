//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/kprim/kprim/usermodehelper"
)

// A CI step runner runs the steps of a build. The Example plainSteps is the same with os/exec.
// Both give these guarantees:
//
//   - The steps run in order. The first step that fails is the last one.
//   - A step has its own directory, and gets no variable that is not named.
//   - The lines of both outputs come at once and apart, each with the name of the step.
//   - A step has a limit of time, and leaves no process behind.
//   - The error says why a step failed, and has the last bytes of its outputs.
func Example_steps() {
	steps := []step{
		{name: "checkout", dir: "/usr", script: `pwd; (sleep 1000) & echo "left a child"`},
		{name: "build", script: `echo "for $TARGET"; echo "a warning" >&2`, env: []string{"TARGET=linux"}},
		{name: "test", script: `echo "waiting"; exec sleep 1000`, limit: 300 * time.Millisecond},
		{name: "publish", script: `echo "not reached"`},
	}
	err := runSteps(context.Background(), steps, os.Stdout, io.Discard)
	fmt.Println("too slow:", errors.Is(err, context.DeadlineExceeded))
	// Output:
	// checkout: /usr
	// checkout: left a child
	// build: for linux
	// test: waiting
	// too slow: true
}

// A step is a script that must succeed.
type step struct {
	name, script string
	dir          string   // or "" for /
	env          []string // besides the variables that each step inherits
	limit        time.Duration
}

// runSteps runs the steps in order, and returns the error of the first one that fails.
func runSteps(ctx context.Context, steps []step, stdout, stderr io.Writer) error {
	for _, s := range steps {
		if err := s.run(ctx, s.output(stdout), s.output(stderr)); err != nil {
			return fmt.Errorf("step %s: %w", s.name, err)
		}
	}
	return nil
}

// output passes each line on to w, with the name of the step.
func (s step) output(w io.Writer) *usermodehelper.Output {
	return &usermodehelper.Output{
		Max:  -1,
		Tail: 36,
		Line: func(line string) { _, _ = fmt.Fprintf(w, "%s: %s\n", s.name, line) },
	}
}

func (s step) run(ctx context.Context, stdout, stderr *usermodehelper.Output) error {
	var end usermodehelper.Result
	helper := usermodehelper.Helper{
		Path:    "/bin/sh",
		Argv:    []string{"sh", "-c", s.script},
		Dir:     s.dir,
		Envp:    s.env,
		Inherit: []string{"HOME", "LANG", "PATH"},
		Output:  stdout,
		Errors:  stderr,
		Timeout: s.limit,
		Sweep:   true,
		Cleanup: func(result usermodehelper.Result) { end = result },
	}
	_, _ = helper.Exec(ctx, usermodehelper.WaitProc) // end has both
	if err := end.Failure(); err != nil {
		return fmt.Errorf("%w\n%v%v", err, stdout, stderr)
	}
	return nil
}
