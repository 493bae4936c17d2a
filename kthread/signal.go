package kthread

import (
	"fmt"
	"sync"
	"syscall"

	"github.com/kprim/kprim/waitqueue"
)

// errSignal ends a sleep while a signal is pending.
var errSignal = fmt.Errorf("kthread: interrupted by a signal: %w", syscall.EINTR)

// maxSignal is the highest signal number, _NSIG of Linux.
const maxSignal = 64

// Signal sends sig to the thread. If the thread has allowed it, it becomes
// pending and ends the thread's interruptible sleeps; otherwise it is dropped,
// and the result is nil all the same. A signal that is pending already is not
// counted twice. Signal 0 only asks whether the thread is there.
//
// The error matches [syscall.EINVAL] if the number is not one of a signal, and
// [syscall.ESRCH] if the thread is gone.
//
// Kernel: send_sig, kill_proc
//
// Differs: kill_proc names the thread by its pid. What was sent before Allow is lost, as for kthreads; threads made by daemonize had it blocked, and got it later.
func (t *Thread) Signal(sig syscall.Signal) error { return t.signals.send(sig) }

// signals is what a thread allows and what is pending, a bit a signal.
type signals struct {
	task *waitqueue.Task // written before the thread is shared

	mu      sync.Mutex
	allowed uint64 // guarded by mu
	pending uint64 // guarded by mu
	stopped bool   // a pseudo-signal that flush does not clear; guarded by mu
	exited  bool   // guarded by mu

	// Lock order: signals.mu before the task's.
}

func (s *signals) allow(sig syscall.Signal) error {
	bit, err := sigmask(sig)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowed |= bit
	return nil
}

func (s *signals) send(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exited {
		return fmt.Errorf("kthread: signal %d: the thread is gone: %w", int(sig), syscall.ESRCH)
	}
	if sig == 0 {
		return nil
	}
	bit, err := sigmask(sig)
	if err != nil {
		return err
	}
	if s.allowed&bit != 0 {
		s.pending |= bit
		s.task.Interrupt()
	}
	return nil
}

// flush clears the interrupt under the lock that guards its reasons. Without
// it a stop or a signal that comes between the two would be wiped out.
func (s *signals) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = 0
	if !s.stopped {
		s.task.ClearInterrupt()
	}
}

func (s *signals) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.task.Interrupt()
}

func (s *signals) exit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exited = true
}

func sigmask(sig syscall.Signal) (uint64, error) {
	if sig < 1 || sig > maxSignal {
		return 0, fmt.Errorf("kthread: no signal has the number %d: %w", int(sig), syscall.EINVAL)
	}
	return 1 << (uint(sig) - 1), nil
}
