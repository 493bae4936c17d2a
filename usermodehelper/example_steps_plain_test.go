//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// The CI step runner of the Example steps, with os/exec. It prints the same lines. Some
// guarantees are weaker: see plainRun.
func Example_plainSteps() {
	steps := []plainStep{
		{name: "checkout", dir: "/usr", script: `pwd; (sleep 1000) & echo "left a child"`},
		{name: "build", script: `echo "for $TARGET"; echo "a warning" >&2`, env: []string{"TARGET=linux"}},
		{name: "test", script: `echo "waiting"; exec sleep 1000`, limit: 300 * time.Millisecond},
		{name: "publish", script: `echo "not reached"`},
	}
	err := runPlainSteps(context.Background(), steps, os.Stdout, io.Discard)
	fmt.Println("too slow:", errors.Is(err, context.DeadlineExceeded))
	// Output:
	// checkout: /usr
	// checkout: left a child
	// build: for linux
	// test: waiting
	// too slow: true
}

// A plainStep is a script that must succeed.
type plainStep struct {
	name, script string
	dir          string   // or "" for /
	env          []string // besides the variables that each step inherits
	limit        time.Duration
}

// runPlainSteps runs the steps in order, and returns the error of the first one that fails.
func runPlainSteps(ctx context.Context, steps []plainStep, stdout, stderr io.Writer) error {
	for _, s := range steps {
		if err := s.run(ctx, s.output(stdout), s.output(stderr)); err != nil {
			return fmt.Errorf("step %s: %w", s.name, err)
		}
	}
	return nil
}

// output passes each line on to w, with the name of the step.
func (s plainStep) output(w io.Writer) *plainLines {
	return &plainLines{
		tail: plainTail{size: 36},
		line: func(line []byte) { _, _ = fmt.Fprintf(w, "%s: %s\n", s.name, line) },
	}
}

func (s plainStep) run(ctx context.Context, stdout, stderr *plainLines) error {
	if s.limit != 0 {
		limited, cancel := context.WithTimeout(ctx, s.limit)
		defer cancel()
		ctx = limited
	}
	cmd := plainCommand(ctx, s.script)
	if s.dir != "" {
		cmd.Dir = s.dir
	}
	cmd.Env = s.environ()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := plainRun(ctx, cmd)
	stdout.flush()
	stderr.flush()
	if err != nil {
		return fmt.Errorf("%w (%v)\n%v%v", err, cmd.ProcessState, &stdout.tail, &stderr.tail)
	}
	return nil
}

// environ returns the variables of the step, and the named variables of the program. Of two
// values, os/exec takes the last one. It is not nil, because that means all variables.
func (s plainStep) environ() []string {
	env := []string{}
	for _, name := range []string{"HOME", "LANG", "PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(env, s.env...)
}

// plainLines calls line for each line as it comes. A line of more than 65,536 bytes comes
// in parts.
type plainLines struct {
	tail plainTail
	line func([]byte)
	rest []byte // the line that has no end yet
}

func (l *plainLines) Write(p []byte) (int, error) {
	_, _ = l.tail.Write(p)
	for part := range bytes.Lines(p) {
		l.rest = append(l.rest, bytes.TrimSuffix(part, []byte("\n"))...)
		if bytes.HasSuffix(part, []byte("\n")) {
			l.line(l.rest)
			l.rest = l.rest[:0]
		} else if len(l.rest) > 1<<16 {
			l.flush()
		}
	}
	return len(p), nil
}

func (l *plainLines) flush() {
	if len(l.rest) > 0 {
		l.line(l.rest)
		l.rest = l.rest[:0]
	}
}
