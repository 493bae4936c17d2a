package usermodehelper

import (
	"errors"
	"syscall"
	"unsafe"
)

// A signalSet has a bit for each signal; bit 0 is for signal 1.
type signalSet uint64

// A child with a tracer stops at each signal that it gets, also before its exec. The
// thread that starts it would then wait for the exec without end, with
// [syscall.ForkLock] held. So the signals are blocked before the start. The child has
// the same mask, and gets back the right one at its stop.
//
// SIGTRAP is the stop itself, and a C library needs the signals 32 to 34. The signals
// of faults stay, because the kernel would kill a thread that has blocked its own
// fault. SIGSTOP cannot be blocked. A process that sends it in these microseconds does
// hold up the thread, until it kills the child.
var blocked = ^signals(syscall.SIGTRAP, syscall.SIGILL, syscall.SIGBUS, syscall.SIGFPE,
	syscall.SIGSEGV, syscall.SIGSYS, 32, 33, 34)

func signals(all ...syscall.Signal) (set signalSet) {
	for _, s := range all {
		set |= 1 << (s - 1)
	}
	return set
}

// blockSignals blocks signals for the calling thread, and returns the mask that it had.
func blockSignals() (before signalSet, err error) { return setSignalMask(blocked) }

func setSignalMask(mask signalSet) (before signalSet, err error) {
	const setMask = 2 // SIG_SETMASK
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, setMask, uintptr(unsafe.Pointer(&mask)),
		uintptr(unsafe.Pointer(&before)), unsafe.Sizeof(mask), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return before, nil
}

// awaitExecStop waits until the program is stopped before its first instruction. It
// returns false if the program has ended. The stop is looked at and not taken: a
// stop that was taken would not kill the program if its tracer died.
func awaitExecStop(pid int) bool {
	const trapped = 4 // CLD_TRAPPED
	code, err := lookAtChild(pid, syscall.WSTOPPED)
	return err == nil && code == trapped
}

// letRun gives the stopped program its signal mask and ends the tracing.
func letRun(pid int, mask signalSet) error {
	const setSigMask = 0x420b // PTRACE_SETSIGMASK, which package syscall does not have
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PTRACE, setSigMask, uintptr(pid), unsafe.Sizeof(mask),
		uintptr(unsafe.Pointer(&mask)), 0, 0)
	if errno != 0 {
		return errno
	}
	return syscall.PtraceDetach(pid)
}

// explainTrace says that ptrace(2) is refused, if that is the reason of a failed
// start. Then a child without a program fails in the same way, and not because the
// program is missing.
func (h *Helper) explainTrace(err error) error {
	if !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.EACCES) && !errors.Is(err, syscall.ENOSYS) {
		return err
	}
	_, refused := syscall.ForkExec("", nil, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Ptrace: true}})
	if errors.Is(refused, syscall.ENOENT) {
		return err
	}
	return h.unlimited("Limits and Nice need ptrace(2), which is refused here", refused)
}

// mayTraceAll reports whether the calling thread has CAP_SYS_PTRACE.
func mayTraceAll() bool {
	const version, sysPtrace = 0x20080522, 19
	header := struct {
		version uint32
		pid     int32
	}{version: version}
	var sets [2]struct{ effective, permitted, inheritable uint32 }
	_, _, errno := syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets)), 0)
	return errno == 0 && sets[0].effective&(1<<sysPtrace) != 0
}
