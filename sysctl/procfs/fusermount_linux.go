//go:build !(386 || arm || mips || mipsle)

package procfs

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// The program that mounts for an ordinary user.
const helper = "fusermount3"

// mountByHelper mounts at dir by fusermount3. That program opens the device, and sends the
// descriptor over a socket.
func mountByHelper(dir string) (fd int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "fuse"), os.NewFile(uintptr(pair[1]), "fuse")
	defer ours.Close()
	options := fmt.Sprintf("nosuid,nodev,noexec,fsname=kprim,subtype=kprim,max_read=%d", maxWrite)
	cmd := exec.Command(helper, "-o", options, "--", dir)
	cmd.Env = append(os.Environ(), "_FUSE_COMMFD=3") // 3 is the first of ExtraFiles
	cmd.ExtraFiles = []*os.File{theirs}
	err = run(cmd)
	theirs.Close()
	if err != nil {
		return -1, err
	}
	fd, err = receiveDevice(int(ours.Fd()))
	if err != nil {
		return -1, errors.Join(err, unmountByHelper(dir)) // it may have mounted
	}
	return fd, nil
}

// run runs the helper. Its error has the text that the helper prints.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	text := cmp.Or(strings.TrimSpace(string(out)), err.Error())
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return &unsupported{"mount(2) is not allowed here, and there is no " + helper, unix.EPERM}
	case strings.HasSuffix(text, "mount failed: Operation not permitted"): // as in a container
		return &unsupported{"mount(2) is not allowed here, and " + helper + " has no rights: " + text, unix.EPERM}
	}
	return fmt.Errorf("%s: %w", text, unix.EPERM)
}

// receiveDevice receives the descriptor that the helper has sent.
//
// Kernel: SCM_RIGHTS
func receiveDevice(socket int) (fd int, err error) {
	control := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(socket, make([]byte, 1), control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("recvmsg", err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil || len(messages) != 1 {
		return -1, fmt.Errorf("%s sent no descriptor", helper)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return -1, fmt.Errorf("%s sent no descriptor", helper)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return -1, errors.Join(err, unix.Close(fds[0]))
	}
	return fds[0], nil
}

// unmountByHelper unmounts. If files are open, the mount goes away with the last of them.
func unmountByHelper(dir string) error {
	if run(exec.Command(helper, "-u", "--", dir)) == nil {
		return nil
	}
	return run(exec.Command(helper, "-u", "-z", "--", dir))
}
