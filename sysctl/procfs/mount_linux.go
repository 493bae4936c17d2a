//go:build !(386 || arm || mips || mipsle)

package procfs

import (
	"errors"
	"fmt"
	"log"
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
	id  int    // 0 if /proc does not tell
}

// mounting is locked while a Server changes the mounts and looks at their list. Without the
// lock, two Servers could mount at one dir, and then both look. The first would take the
// mount of the second for its own, and remove it.
var mounting sync.Mutex

// newMount mounts a new connection at dir. mode is the kind of its root.
func newMount(dir string, mode uint32) (fd int, m mount, err error) {
	if m.dir, err = resolve(dir); err != nil {
		return -1, m, err
	}
	if err = removeStale(m.dir); err != nil {
		return -1, m, err
	}
	if err = checkKind(m.dir, mode); err != nil {
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
	if top, _ := topmost(m.dir); top != nil {
		m.id = top.ID
	}
	return fd, m, nil
}

// resolve returns dir as /proc/self/mountinfo has it. If a server at dir has died, the last
// element of the path cannot be looked up, and stays as it is.
func resolve(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	path, err := filepath.EvalSymlinks(dir)
	if !errors.Is(err, unix.ENOTCONN) {
		return path, err
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(dir))
	return filepath.Join(parent, filepath.Base(dir)), err
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

// topmost returns the mount that processes see at dir, and nil if there is none. It is the
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
	for {
		var st unix.Stat_t
		if err := unix.Lstat(dir, &st); !errors.Is(err, unix.ENOTCONN) {
			return nil // any other fault is for mount(2) to find
		}
		top, err := topmost(dir)
		if err != nil {
			return err
		}
		if top == nil || top.FSType != fsType {
			return fmt.Errorf("a server of another kind has died there: %w", unix.ENOTCONN)
		}
		if err := (mount{dir: dir, id: top.ID}).remove(); err != nil {
			return err
		}
	}
}

// remove removes the mount, unless it is gone or another mount lies over it. A process with
// an open file there gets errors from then on.
//
// Kernel: umount2, MNT_FORCE, MNT_DETACH
func (m mount) remove() error {
	mounting.Lock()
	defer mounting.Unlock()
	top, err := topmost(m.dir)
	switch {
	case err != nil:
		return err
	case top == nil || top.ID != m.id || top.FSType != fsType:
		return nil
	}
	// Only a forced unmount ends the waits of processes, and only a detached mount goes
	// while files are open.
	err = unix.Unmount(m.dir, 0)
	if errors.Is(err, unix.EBUSY) {
		err = unix.Unmount(m.dir, unix.MNT_FORCE|unix.MNT_DETACH)
	}
	if errors.Is(err, unix.EPERM) {
		err = unmountByHelper(m.dir)
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", m.dir, err)
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

// warnOfTimeout warns if the kernel ends a connection that does not answer in time. A
// blocked open is a request without an answer.
func warnOfTimeout(l *log.Logger) {
	for _, name := range []string{"default_request_timeout", "max_request_timeout"} {
		text, err := os.ReadFile("/proc/sys/fs/fuse/" + name)
		if value := strings.TrimSpace(string(text)); err == nil && value != "0" {
			l.Printf("procfs: fs.fuse.%s is %s: an open that blocks for %s seconds ends the mount; set it to 0 before the mount",
				name, value, value)
		}
	}
}
