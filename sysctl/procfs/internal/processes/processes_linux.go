// Package processes starts the processes of a test, and waits for them.
package processes

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Limit is how long a test waits for a process on a busy machine.
const Limit = 30 * time.Second

// A Child is started by a test, and dies with it.
type Child struct {
	*exec.Cmd
	Out Text // both outputs, if the command has no Stdout of its own

	done chan struct{}
}

// Start starts a command.
func Start(t testing.TB, cmd *exec.Cmd) *Child {
	t.Helper()
	p := &Child{Cmd: cmd, done: make(chan struct{})}
	if p.Stdout == nil {
		p.Stdout, p.Stderr = &p.Out, &p.Out
	}
	p.WaitDelay = Limit
	if err := p.Cmd.Start(); err != nil {
		t.Fatalf("processes: %v", err)
	}
	go func() { _ = p.Cmd.Wait(); close(p.done) }()
	t.Cleanup(func() { p.kill(t) })
	return p
}

// kill kills a process. A fault of a mount's server can keep it from dying, until the server
// ends.
func (p *Child) kill(t testing.TB) {
	_ = p.Process.Kill()
	select {
	case <-p.done:
	case <-time.After(Limit):
		t.Errorf("processes: %v cannot be killed", p.Args)
	}
}

// Wait waits for the end. It returns the exit code, or minus the signal that ended the process.
func (p *Child) Wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(Limit):
		t.Fatalf("processes: %v does not end; it has printed %q", p.Args, p.Out.String())
	}
	status := p.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return -int(status.Signal())
	}
	return status.ExitStatus()
}

// State returns the state of a process: one letter, as ps prints it, or "gone".
func State(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "gone"
	}
	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))[0]
}

// Eventually waits until cond is true, because a process has changed something. A description
// of it is in the error.
func Eventually(t testing.TB, description string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Limit)
	defer cancel()
	for !cond() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", description)
		case <-time.After(time.Millisecond):
		}
	}
}

// A Text grows while goroutines write to it, and others read it.
type Text struct {
	mu    sync.Mutex
	bytes bytes.Buffer // guarded by mu
}

func (x *Text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.bytes.Write(p)
}

func (x *Text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.bytes.String()
}
