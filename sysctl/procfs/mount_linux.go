//go:build !(386 || arm || mips || mipsle)

package procfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// fsType is the type of our mounts in /proc/self/mountinfo.
const fsType = "fuse.kprim"

// A mount is a mount of ours at a directory.
type mount struct {
	dir string // absolute, without symbolic links
	id  uint64
}

// mounting is locked while a Server changes the mounts and reads the number of the top one.
// Without the lock, two Servers could mount at one dir, and then both look. The first would
// take the mount of the second for its own, and remove it.
var mounting sync.Mutex

// newMount mounts a new connection at dir. mode is the kind of its root.
func newMount(dir string, mode uint32) (fd int, m mount, err error) {
	if m.dir, err = resolve(dir); err != nil {
		return -1, m, err
	}
	err = prepare(m.dir, mode)
	if errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.ECONNABORTED) {
		err = prepare(m.dir, mode) // a server died between two looks
	}
	if err != nil {
		return -1, m, err
	}
	mounting.Lock()
	defer mounting.Unlock()
	fd, err = mountDirectly(m.dir, mode)
	if errors.Is(err, unix.EPERM) {
		fd, err = mountByHelper(m.dir)
	}
	if err != nil {
		return -1, m, err
	}
	if m.id, err = mountID(m.dir); err != nil {
		return -1, m, errors.Join(err, unmount(m.dir), unix.Close(fd))
	}
	return fd, m, nil
}

// resolve returns dir as /proc/self/mountinfo has it. An empty dir is ENOENT, as for
// mount(2). If a server at dir has died, or dies now, the last element of the path cannot be
// looked up, and stays as it is.
func resolve(dir string) (string, error) {
	if dir == "" {
		return "", unix.ENOENT
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	path, err := filepath.EvalSymlinks(dir)
	if !errors.Is(err, unix.ENOTCONN) && !errors.Is(err, unix.ECONNABORTED) {
		return path, err
	}
	if target, err := os.Readlink(dir); err == nil { // a link to the dead mount
		if !filepath.IsAbs(target) {
			target = filepath.Dir(dir) + "/" + target
		}
		return resolve(target)
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(dir))
	return filepath.Join(parent, filepath.Base(dir)), err
}

// prepare makes dir a place for a mount of the kind mode.
func prepare(dir string, mode uint32) error {
	if err := removeStale(dir); err != nil {
		return err
	}
	return checkKind(dir, mode)
}

// checkKind returns ENOTDIR, as mount(2) does, unless both are a directory or neither is.
// fusermount3 would give the mount the kind of dir, and each call on its root would fail.
func checkKind(dir string, mode uint32) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return err
	}
	if (st.Mode&unix.S_IFMT == unix.S_IFDIR) != (mode == unix.S_IFDIR) {
		return unix.ENOTDIR
	}
	return nil
}

// mountID returns the number of the mount that processes see at dir. It asks no server. So
// it does not wait for a server that has not begun, and has an answer where one has died.
// Since Linux 6.8 no later mount gets the same number. Before, a mount can get the number of
// one that is gone. So a Server that has ended removes only a mount that is dead.
//
// Kernel: STATX_MNT_ID_UNIQUE
func mountID(dir string) (uint64, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, dir, unix.AT_SYMLINK_NOFOLLOW|unix.AT_STATX_DONT_SYNC,
		unix.STATX_MNT_ID_UNIQUE, &st)
	if err != nil {
		return 0, os.NewSyscallError("statx", err)
	}
	if st.Mask&(unix.STATX_MNT_ID_UNIQUE|unix.STATX_MNT_ID) == 0 {
		return 0, fmt.Errorf("a mount has no number before Linux 5.8: %w", unix.ENOSYS)
	}
	return st.Mnt_id, nil
}

// topmost describes the mount that processes see at dir, and is nil if there is none. It is the
// last one in the list, because each mount at dir lies over the ones before.
func topmost(dir string) (*mountinfo.Info, error) {
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		return m.Mountpoint != dir, false
	})
	if err != nil || len(mounts) == 0 {
		return nil, err
	}
	return mounts[len(mounts)-1], nil
}

// removeStale removes the topmost mounts at dir whose servers have ended. Such a mount would
// make a new mount at dir fail.
func removeStale(dir string) error {
	for dead(dir) {
		id, err := mountID(dir)
		if err != nil {
			return err
		}
		top, err := topmost(dir)
		if err != nil {
			return err
		}
		if top == nil || top.FSType != fsType {
			return fmt.Errorf("a server of another kind has died there: %w", unix.ENOTCONN)
		}
		if err := (mount{dir: dir, id: id}).remove(); err != nil {
			return err
		}
	}
	return nil
}

// dead reports whether the server of the mount on top has ended. mount(2) finds every other
// fault.
func dead(dir string) bool {
	var st unix.Stat_t
	return errors.Is(unix.Lstat(dir, &st), unix.ENOTCONN)
}

// remove removes the mount, unless it is gone or another mount lies over it.
func (m mount) remove() error {
	mounting.Lock()
	defer mounting.Unlock()
	id, err := mountID(m.dir)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return err
	case id != m.id:
		return nil
	}
	return unmount(m.dir)
}

// unmount removes the mount on top. Only a forced unmount ends the waits of processes, and
// only a detached mount goes while files are open. Processes that have files open there get
// errors from then on.
//
// Kernel: umount2, MNT_FORCE, MNT_DETACH
func unmount(dir string) error {
	err := unix.Unmount(dir, 0)
	if errors.Is(err, unix.EBUSY) {
		err = unix.Unmount(dir, unix.MNT_FORCE|unix.MNT_DETACH)
	}
	if errors.Is(err, unix.EPERM) {
		err = unmountByHelper(dir)
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return nil
}

// mountDirectly mounts by mount(2). The device is closed in helpers that the server
// starts, because a connection lives as long as any process has it open.
//
// Kernel: fuse_parse_param
func mountDirectly(dir string, mode uint32) (fd int, err error) {
	fd, err = unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, whyNoDevice(err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=%d,group_id=%d,max_read=%d,allow_other",
		fd, mode, os.Geteuid(), os.Getegid(), maxWrite)
	err = unix.Mount("kprim", dir, fsType, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, options)
	if err != nil {
		_ = unix.Close(fd)
		return -1, whyNoMount(err)
	}
	return fd, nil
}

// An unsupported is a reason why there is no FUSE.
type unsupported struct {
	text string
	err  error
}

func (u *unsupported) Error() string { return u.text }

func (u *unsupported) Unwrap() []error { return []error{errors.ErrUnsupported, u.err} }

func whyNoDevice(err error) error {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		return &unsupported{"/dev/fuse is missing: this kernel or container has no FUSE", unix.ENOENT}
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return &unsupported{"/dev/fuse may not be opened by this user", unix.EACCES}
	}
	return fmt.Errorf("open /dev/fuse: %w", err)
}

func whyNoMount(err error) error {
	if errors.Is(err, unix.EPERM) {
		return &unsupported{"mount(2) is not allowed here", unix.EPERM}
	}
	return err
}

// timeouts returns a warning for each setting by which the kernel ends a connection that
// does not answer in time. A blocked open is a request without an answer. They are read
// before the mount, because the mount may be over /proc/sys.
func timeouts() (warnings []string) {
	for _, name := range []string{"default_request_timeout", "max_request_timeout"} {
		text, err := os.ReadFile("/proc/sys/fs/fuse/" + name)
		if value := strings.TrimSpace(string(text)); err == nil && value != "0" {
			warnings = append(warnings, fmt.Sprintf(
				"procfs: fs.fuse.%s is %s: an open that blocks for %s seconds ends the mount; set it to 0 before the mount",
				name, value, value))
		}
	}
	return warnings
}
