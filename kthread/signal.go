package kthread

import (
	"fmt"
	"math/bits"
	"syscall"
)

// errSignal ends a sleep while a signal is pending.
var errSignal = &failure{"interrupted by a signal", syscall.EINTR}

// The signals that have rules of their own, by their numbers in Linux.
const (
	realTime  = 32 // the first one that is counted
	maxSignal = 64 // the last one, _NSIG

	cont        uint64 = 1 << (18 - 1)
	stops       uint64 = 1<<(19-1) | 1<<(20-1) | 1<<(21-1) | 1<<(22-1)                     // STOP, TSTP, TTIN, TTOU
	synchronous uint64 = 1<<(4-1) | 1<<(5-1) | 1<<(7-1) | 1<<(8-1) | 1<<(11-1) | 1<<(31-1) // ILL, TRAP, BUS, FPE, SEGV, SYS
)

// Signal sends sig to the thread. If the thread has allowed it, it becomes
// pending and ends the thread's interruptible sleeps. Otherwise it is dropped,
// and the result is nil too. Signal 0 only asks whether the thread is there.
//
// A signal below 32 that is pending already is not counted twice. The signals from
// 32 on are counted.
//
// SIGCONT, which is 18, drops the pending signals that stop a process: 19 to 22.
// Each of these drops a pending SIGCONT. They do so also if the thread has not
// allowed them. Sleeps still end at once then, until the next Dequeue or Flush.
//
// The error matches:
//
//   - [syscall.EINVAL] if no signal has this number;
//   - [syscall.ESRCH] if the thread is gone.
//
// Kernel: send_sig, kill_pid, kill_proc
//
// Differs: send_sig, kill_pid: there is one set of pending signals. kill_pid adds to a second one there, of the process, which is dequeued last.
//
// Differs: send_sig: must not be given a signal 0; kill_pid may.
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
	t.tellOfSignal(sig, bit)
	t.cancelOpposite(bit)
	if t.allowed&bit != 0 {
		t.enqueue(sig, bit)
	}
	return nil
}

// cancelOpposite drops the pending signals that this one undoes. It leaves the
// interrupt as it is, because the thread may be about to look at it. The caller
// holds t.mu.
func (t *Thread) cancelOpposite(bit uint64) {
	if bit == cont {
		t.pending &^= stops
	}
	if bit&stops != 0 {
		t.pending &^= cont
	}
}

// enqueue makes an allowed signal pending. The caller holds t.mu.
func (t *Thread) enqueue(sig syscall.Signal, bit uint64) {
	if t.pending&bit != 0 && sig >= realTime {
		if t.more == nil {
			t.more = make(map[syscall.Signal]int)
		}
		t.more[sig]++
	}
	t.pending |= bit
	t.task.Interrupt()
}

// Allow lets the thread receive these signals. A signal that was sent before is
// lost. SIGKILL is a signal like the others: the thread has to end by itself. The
// error is EINVAL, as for [Thread.Signal]. If there is an error, none of the signals is
// allowed.
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

// Disallow undoes Allow, and drops the signals that are pending. The error is EINVAL, as
// for Allow. If there is an error, no signal is dropped or disallowed.
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

// Interrupted reports whether a signal is pending, or a stop has been asked. If so,
// interruptible sleeps end at once.
//
// Kernel: signal_pending
func (cur *Current) Interrupted() bool { return cur.t.task.Interrupted() }

// Dequeue takes one pending signal and returns it, or 0 if none is pending. First
// come the six that a program causes itself: 4, 5, 7, 8, 11 and 31, which are
// SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV and SIGSYS in Linux. Then comes the
// lowest number. When the last one has been taken the thread can sleep again,
// unless it has been asked to stop.
//
// Kernel: kernel_dequeue_signal
func (cur *Current) Dequeue() syscall.Signal {
	t := cur.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pending == 0 {
		t.drop(0) // of a signal that SIGCONT dropped, the interrupt is left
		return 0
	}
	first := t.pending
	if first&synchronous != 0 {
		first &= synchronous
	}
	sig := syscall.Signal(bits.TrailingZeros64(first) + 1)
	if t.more[sig] > 0 {
		t.more[sig]--
		return sig
	}
	t.drop(1 << (sig - 1))
	return sig
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
	for sig := range t.more {
		if bits&(1<<(sig-1)) != 0 {
			delete(t.more, sig)
		}
	}
	if t.pending == 0 && t.stop.Load() == nil {
		t.task.ClearInterrupt()
	}
}

// sigmask returns the bits of the signals.
func sigmask(sigs ...syscall.Signal) (mask uint64, err error) {
	for _, sig := range sigs {
		if sig < 1 || sig > maxSignal {
			return 0, &failure{fmt.Sprintf("no signal has the number %d", int(sig)), syscall.EINVAL}
		}
		mask |= 1 << (uint(sig) - 1)
	}
	return mask, nil
}
