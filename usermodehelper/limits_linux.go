package usermodehelper

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"unsafe"
)

// startLimited starts cmd. If there are Limits or Nice, the program is stopped before
// its first instruction, gets them, and then runs. A program that cannot get them is
// killed there. The calling thread becomes the tracer, so it must be locked.
//
// If this program is killed meanwhile, the kernel lets the helper go on with the
// signal of its stop, SIGTRAP, and the helper dies of it.
func (h *Helper) startLimited(cmd *exec.Cmd) error {
	if !h.isLimited() {
		return cmd.Start()
	}
	before, err := blockSignals()
	if err != nil {
		return h.unlimited("its signals cannot be held back", err)
	}
	defer setSignalMask(before)
	if err := cmd.Start(); err != nil {
		return h.explainTrace(err)
	}
	pid := cmd.Process.Pid
	if !awaitExecStop(pid) {
		return nil // it was killed, and has a status
	}
	if err := h.limit(cmd, before); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return err
	}
	return nil
}

// limit sets all that the stopped program gets, and lets the program run.
func (h *Helper) limit(cmd *exec.Cmd, mask signalSet) error {
	pid := cmd.Process.Pid
	if trace != nil {
		trace("limit", pid)
	}
	if err := h.refusePrivileges(cmd); err != nil {
		return err
	}
	for _, l := range h.Limits {
		if err := setLimit(pid, l); err != nil {
			return h.refusedLimit(l, err)
		}
	}
	if err := addNice(pid, h.Nice); err != nil {
		return h.unlimited(fmt.Sprintf("Nice %d", h.Nice), err)
	}
	if err := letRun(pid, mask); err != nil && err != syscall.ESRCH { // it was killed, and has a status
		return h.unlimited("it cannot go on", err)
	}
	return nil
}

func (h *Helper) refusedLimit(l Limit, err error) error {
	reason := fmt.Sprintf("resource %d cannot have the limits %d and %d", l.Resource, l.Soft, l.Hard)
	if err == syscall.EPERM {
		reason += ", because a hard limit would rise, or another user's limit would change, without CAP_SYS_RESOURCE"
	}
	return h.unlimited(reason, err)
}

func (h *Helper) unlimited(reason string, err error) error {
	return fmt.Errorf("%s was not started: %s: %w", h.Path, reason, err)
}

// setLimit uses prlimit(2), because setrlimit(2) is for the calling process alone. The
// kernel sees 32 bits of the number of the resource.
func setLimit(pid int, l Limit) error {
	if l.Resource != int(uint32(l.Resource)) {
		return syscall.EINVAL
	}
	limit := [2]uint64{l.Soft, l.Hard} // struct rlimit64
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), uintptr(l.Resource),
		uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// addNice adds to the nice value that the helper has from the thread that started it.
func addNice(pid, steps int) error {
	if steps == 0 {
		return nil
	}
	inverse, err := syscall.Getpriority(syscall.PRIO_PROCESS, pid)
	if err != nil {
		return err
	}
	nice := 20 - inverse // the system call returns no negative number
	return syscall.Setpriority(syscall.PRIO_PROCESS, pid, min(max(nice+steps, -20), 19))
}

// refusePrivileges refuses a program that would get privileges from its file, such
// as a setuid program. The kernel does not give them to a program with a tracer,
// unless the tracer may trace every program. Such a program would run and fail
// later.
//
// The file is looked at after the exec, so it is the right one: the interpreter of a
// script, and not a file that was put in its place meanwhile.
func (h *Helper) refusePrivileges(cmd *exec.Cmd) error {
	if cmd.SysProcAttr.Credential == nil && mayTraceAll() {
		return nil
	}
	file := fmt.Sprintf("/proc/%d/exe", cmd.Process.Pid)
	info, err := os.Stat(file)
	switch {
	case !awaitExecStop(cmd.Process.Pid):
		return nil // it was killed meanwhile
	case err != nil:
		return h.unlimited(fmt.Sprintf("whether it is setuid cannot be seen: %v", err), syscall.EPERM)
	case info.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0:
		return h.unlimited("a setuid or setgid program cannot have Limits or Nice", syscall.EPERM)
	}
	if n, _ := syscall.Getxattr(file, "security.capability", nil); n > 0 {
		return h.unlimited("a program with file capabilities cannot have Limits or Nice", syscall.EPERM)
	}
	return nil
}
