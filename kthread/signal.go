package kthread

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"syscall"
)

// errSignal ends a sleep while a signal is pending.
var errSignal = &failure{"interrupted by a signal", syscall.EINTR}

var errNoSuchSignal = &failure{"this system has no such signal", errors.Join(syscall.EINVAL, errors.ErrUnsupported)}

// maxSignal is the highest signal number, _NSIG of Linux.
const maxSignal = 64

// Signal sends sig to the thread. If the thread has allowed it, it becomes
// pending and ends the thread's interruptible sleeps. Otherwise it is dropped,
// and the result is nil too. A signal that is pending already is not counted
// twice. Signal 0 only asks whether the thread is there.
//
// The error matches:
//
//   - [syscall.EINVAL] if no signal has this number;
//   - [errors.ErrUnsupported] too, if this system has no signal with this name;
//   - [syscall.ESRCH] if the thread is gone.
//
// Kernel: send_sig, kill_proc
//
// Differs: kill_proc: names the thread by its pid. A thread made by daemonize had signals blocked before it allowed them, and got them later; here they are lost, as for kthreads.
func (t *Thread) Signal(sig syscall.Signal) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.exited {
		return &failure{fmt.Sprintf("signal %d: the thread is gone", int(sig)), syscall.ESRCH}
	}
	if sig == 0 {
		return nil
	}
	bit, err := sigmask(sig)
	if err != nil {
		return err
	}
	if t.allowed&bit != 0 {
		t.pending |= bit
		t.task.Interrupt()
	}
	return nil
}

// Allow lets the thread receive these signals. A signal that was sent before is
// lost. SIGKILL is a signal like the others: the thread has to end by itself. The
// errors are EINVAL and ErrUnsupported, as for [Thread.Signal]. If there is an
// error, none of the signals is allowed.
//
// Kernel: allow_signal
//
// Differs: returns an error for a number that no signal has.
func (cur *Current) Allow(sigs ...syscall.Signal) error {
	mask, err := sigmask(sigs...)
	if err != nil {
		return err
	}
	t := cur.t
	t.mu.Lock()
	defer t.mu.Unlock()
	t.allowed |= mask
	return nil
}

// Disallow undoes Allow, and drops the signals that are pending. The errors are
// those that Allow has. If there is an error, no signal is dropped or disallowed.
//
// Kernel: disallow_signal
//
// Differs: returns an error for a number that no signal has.
func (cur *Current) Disallow(sigs ...syscall.Signal) error {
	mask, err := sigmask(sigs...)
	if err != nil {
		return err
	}
	t := cur.t
	t.mu.Lock()
	defer t.mu.Unlock()
	t.allowed &^= mask
	t.drop(mask)
	return nil
}

// Pending reports whether a signal is pending, or a stop has been asked. If so,
// interruptible sleeps end at once.
//
// Kernel: signal_pending
func (cur *Current) Pending() bool { return cur.t.task.Interrupted() }

// Dequeue takes the pending signal with the lowest number and returns it, or 0
// if none is pending. When the last one has been taken the thread can sleep
// again, unless it has been asked to stop.
//
// Kernel: kernel_dequeue_signal
func (cur *Current) Dequeue() syscall.Signal {
	t := cur.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pending == 0 {
		return 0
	}
	sig := bits.TrailingZeros64(t.pending) + 1
	t.drop(1 << (sig - 1))
	return syscall.Signal(sig)
}

// Flush drops all pending signals, so that the thread can sleep again. It does
// not take back a stop.
//
// Kernel: flush_signals
func (cur *Current) Flush() {
	t := cur.t
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(t.pending)
}

// drop clears signals, and the interrupt if no reason for it is left. The caller
// holds t.mu, which guards the reasons. Without it a new reason would be lost:
//
//	thread: no reason is left
//	stopper: set the flag, interrupt
//	thread: clear the interrupt, and sleep
func (t *Thread) drop(bits uint64) {
	t.pending &^= bits
	if t.pending == 0 && !t.stop.Load() {
		t.task.ClearInterrupt()
	}
}

// missing is below the values of the named signals that the system lacks. They fit
// in a byte, which a signal is on some systems.
const missing = 190

// lacks reports whether sig is the value of a named signal that the system lacks.
func lacks(sig syscall.Signal) bool {
	return sig > missing && slices.Contains([]syscall.Signal{SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD}, sig)
}

// sigmask returns the bits of the signals.
func sigmask(sigs ...syscall.Signal) (mask uint64, err error) {
	for _, sig := range sigs {
		switch {
		case lacks(sig):
			return 0, errNoSuchSignal
		case sig < 1 || sig > maxSignal:
			return 0, &failure{fmt.Sprintf("no signal has the number %d", int(sig)), syscall.EINVAL}
		}
		mask |= 1 << (uint(sig) - 1)
	}
	return mask, nil
}
