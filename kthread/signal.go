package kthread

import (
	"errors"
	"fmt"
	"math/bits"
	"syscall"
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
// The error matches [syscall.EINVAL] if the number is not one of a signal,
// [errors.ErrUnsupported] if this system has no signal of that name, and
// [syscall.ESRCH] if the thread is gone.
//
// Kernel: send_sig, kill_proc
//
// Differs: kill_proc names the thread by its pid. What was sent before Allow is lost, as for kthreads; threads made by daemonize had it blocked, and got it later.
func (t *Thread) Signal(sig syscall.Signal) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.exited {
		return fmt.Errorf("kthread: signal %d: the thread is gone: %w", int(sig), syscall.ESRCH)
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

// Allow lets the thread receive these signals. One that was sent before is lost.
// SIGKILL is a signal like the others: the thread has to end by itself. If there
// is an error, which is as that of [Thread.Signal], none is allowed.
//
// Kernel: allow_signal
//
// Differs: an error for what is no signal.
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

// Disallow undoes Allow, and drops those of the signals that are pending. If
// there is an error, none is dropped or disallowed.
//
// Kernel: disallow_signal
//
// Differs: an error for what is no signal.
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

// Pending reports whether a signal is pending, or a stop has been asked:
// interruptible sleeps end at once then.
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

// drop clears signals, and the interrupt if no reason for it is left. That is
// done under the lock that guards the reasons: without it, a stop or a signal
// that comes between the two would be wiped out. The caller holds t.mu.
func (t *Thread) drop(bits uint64) {
	t.pending &^= bits
	if t.pending == 0 && !t.stop.Load() {
		t.task.ClearInterrupt()
	}
}

// missing is above the numbers of signals that the system lacks.
const missing = -1000

// sigmask returns the bits of the signals.
func sigmask(sigs ...syscall.Signal) (mask uint64, err error) {
	for _, sig := range sigs {
		switch {
		case sig <= missing:
			return 0, fmt.Errorf("kthread: this system has no such signal: %w, %w", syscall.EINVAL, errors.ErrUnsupported)
		case sig < 1 || sig > maxSignal:
			return 0, fmt.Errorf("kthread: no signal has the number %d: %w", int(sig), syscall.EINVAL)
		}
		mask |= 1 << (uint(sig) - 1)
	}
	return mask, nil
}
