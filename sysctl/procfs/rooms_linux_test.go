//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/examples/sleepfile"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/vfs"
)

// A room is a mount namespace with a /dev/fuse that every user may open. So ordinary users
// can mount there. The real /dev/fuse stays as it is. /mnt/kprim is this program, and
// /mnt/dir is a directory of user 65534.
type room struct {
	keeper *caller // keeps the namespace
}

const ordinary = 65534 // the user nobody

const furnish = `set -e
mount -t tmpfs -o mode=755 kprim /mnt
touch /mnt/kprim && mount --bind "$0" /mnt/kprim
mknod -m 666 /mnt/fuse c 10 229
mount --bind /mnt/fuse /dev/fuse
mkdir /mnt/dir && chown 65534:65534 /mnt/dir
%s
echo ready
exec cat`

// newRoom makes a room, and runs one more command in it. Only user 0 can make rooms.
func newRoom(t testing.TB, more string) *room {
	mount(t, vfs.Static(nil), procfs.Options{}) // skips without FUSE
	for _, name := range []string{"unshare", "nsenter", "setpriv", "fusermount3"} {
		program(t, name)
	}
	users, err := os.ReadFile("/proc/self/uid_map")
	require.NoError(t, err)
	if os.Geteuid() != 0 || !strings.Contains(string(users), "4294967295") { // a user namespace has fewer
		t.Skip("skipped: only user 0 can make a namespace with a /dev/fuse for everybody")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	keeper := startCaller(t, exec.Command("unshare", "-m", "--propagation", "private",
		"bash", "-c", fmt.Sprintf(furnish, more), self))
	require.Equal(t, "ready", keeper.end(t))
	return &room{keeper}
}

// enter returns the command line of a program in the room, as a user without other groups.
func (r *room) enter(uid int, line string) []string {
	words := strings.Fields(fmt.Sprintf("nsenter --mount=/proc/%d/ns/mnt setpriv --reuid=%d --regid=%[2]d --clear-groups",
		r.keeper.Process.Pid, uid))
	return append(words, strings.Fields(line)...)
}

// run runs a program in the room.
func (r *room) run(t testing.TB, uid int, line string) (string, int) {
	words := r.enter(uid, line)
	return run(t, words[0], words[1:]...)
}

// role starts this program in the room. before is a command that starts it, or "".
func (r *room) role(t testing.TB, uid int, before, role string, args ...string) *caller {
	words := append(r.enter(uid, before+" /usr/bin/env KPRIM_TEST_ROLE="+role+" /mnt/kprim"), args...)
	return startCaller(t, exec.Command(words[0], words[1:]...))
}

// mounts reports whether the namespace of a process has a mount of ours in the room.
func mounts(t testing.TB, pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	require.NoError(t, err)
	return strings.Contains(string(text), " /mnt/dir")
}

func init() { roles["mount"], roles["servetree"] = mountOnce, serveTree }

// serveTree serves a tree with three modes, and /sleep, at a directory until SIGINT. It
// prints each opener that sleeps.
func serveTree(args []string) int {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT)
	file := &sleepfile.File{Log: func(_ vfs.Cred, step string) {
		if step == "sleeps in open" {
			fmt.Println(step)
		}
	}}
	root := vfs.Static(map[string]vfs.Node{"sleep": file, "sys": modes().VFS()})
	server, err := procfs.Mount(args[0], root, procfs.Options{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("serving")
	<-stop
	if err := server.Close(); err != nil {
		fmt.Println(err)
		return 1
	}
	return file.UseCount()
}

// modes returns a tree whose entries are named by their modes.
func modes() *sysctl.Tree {
	tree := new(sysctl.Tree)
	for _, mode := range []fs.FileMode{0o640, 0o644, 0o646, 0o604} {
		_, err := tree.Register("", sysctl.Entry{
			Name: fmt.Sprintf("%#o", uint32(mode)), Mode: mode, Handler: sysctl.DoIntVec(new(sysctl.Var[int32])),
		})
		if err != nil {
			panic(err)
		}
	}
	return tree
}

// mountOnce mounts at a directory, and closes at once. It prints the log, and the error
// with the errors that it matches.
func mountOnce(args []string) int {
	var root vfs.Node = vfs.Static(nil)
	if len(args) > 1 {
		root = &sleepfile.File{}
	}
	server, err := procfs.Mount(args[0], root, procfs.Options{ErrorLog: log.New(os.Stdout, "", 0)})
	if err != nil {
		fmt.Println(err)
		for _, target := range []error{errors.ErrUnsupported, syscall.ENOENT, syscall.EACCES, syscall.EPERM, syscall.ENOTDIR} {
			if errors.Is(err, target) {
				fmt.Println("is:", target)
			}
		}
		return 1
	}
	if err := server.Close(); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("mounted")
	return 0
}
