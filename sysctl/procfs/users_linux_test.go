//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// requireServerEnds sends SIGINT to a server, and requires that it closes without an
// error, and that its mount is gone.
func requireServerEnds(t testing.TB, server *caller) {
	require.NoError(t, server.Process.Signal(syscall.SIGINT))
	require.Empty(t, server.drain())
	require.Zero(t, server.ProcessState.ExitCode())
}

const (
	noEntry     = "permission denied"
	atEnd       = "cannot send after transport endpoint shutdown"
	afterEnd    = "transport endpoint is not connected"
	sleepPath   = "/mnt/dir/sleep"
	emptyOutput = "Last input:\n"
)

func TestOrdinaryUserMountsByFusermount3(t *testing.T) {
	r := newRoom(t, "")
	server := r.role(t, ordinary, "", "servetree", "/mnt/dir")
	require.Equal(t, "serving", server.end(t))

	out, _ := r.run(t, ordinary, "cat "+sleepPath)
	require.Equal(t, emptyOutput, out)
	for _, stranger := range []int{0, 1000} {
		c := r.role(t, stranger, "", "orders")
		require.Equal(t, noEntry, c.do(t, "open %s 0", sleepPath), "user %d", stranger)
	}
	requireCloseEndsUsers(t, server, func() *caller { return r.role(t, ordinary, "", "orders") })
	require.False(t, mounts(t, r.keeper.Process.Pid))
}

// requireCloseEndsUsers requires that a server can close while one process has the file
// open, and another sleeps in open.
func requireCloseEndsUsers(t testing.TB, server *caller, newCaller func() *caller) {
	holder, sleeper := newCaller(), newCaller()
	fd := holder.do(t, "open %s 0", sleepPath)
	require.NotContains(t, fd, " ", "an error")
	sleeper.begin(t, "open %s 0", sleepPath)
	require.Equal(t, "sleeps in open", server.end(t))
	requireServerEnds(t, server)
	require.Equal(t, atEnd, sleeper.end(t))
	require.Equal(t, afterEnd, holder.do(t, "pread %s", fd))
}

// The first user of a user namespace mounts by mount(2). All users of the namespace may
// enter, and no other users.
func TestUserNamespaceMounts(t *testing.T) {
	r := newRoom(t, "")
	server := r.role(t, ordinary, "unshare -Urm", "servetree", "/mnt/dir")
	require.Equal(t, "serving", server.end(t))
	inside := fmt.Sprintf("nsenter --target %d -U -m --preserve-credentials ", server.Process.Pid)

	out, code := r.run(t, ordinary, inside+"bash -c echo${IFS}hi>"+sleepPath)
	require.Zero(t, code, "the first user is user 0 there, and may write: %s", out)
	out, _ = r.run(t, ordinary, inside+"cat "+sleepPath)
	require.Equal(t, "Last input:hi\n\n", out)

	c := r.role(t, 0, "", "orders")
	require.Equal(t, noEntry, c.do(t, "open /proc/%d/root%s 0", server.Process.Pid, sleepPath))
	requireCloseEndsUsers(t, server, func() *caller { return r.role(t, ordinary, inside, "orders") })
}

// Without fusermount3 all users may enter.
func TestAllUsersEnterTheMountOfUser0(t *testing.T) {
	r := newRoom(t, "")
	server := r.role(t, 0, "", "servetree", "/mnt/dir")
	require.Equal(t, "serving", server.end(t))
	for _, uid := range []int{0, 1000, ordinary} {
		out, _ := r.run(t, uid, "cat "+sleepPath)
		require.Equal(t, emptyOutput, out)
	}
	c := r.role(t, ordinary, "", "orders")
	require.Equal(t, noEntry, c.do(t, "open %s 1", sleepPath), "only user 0 may write the file")
	requireCloseEndsUsers(t, server, func() *caller { return r.role(t, ordinary, "", "orders") })
	require.False(t, mounts(t, r.keeper.Process.Pid))
}

// The error of a server says which of three reasons keeps it from FUSE.
func TestReasonsWhyThereIsNoFUSE(t *testing.T) {
	const unsupported = "is: unsupported operation"
	missing := []string{"procfs: mount /mnt/dir: /dev/fuse is missing: this kernel or container has no FUSE", unsupported, "is: no such file or directory"}
	closed := []string{"procfs: mount /mnt/dir: /dev/fuse may not be opened by this user", unsupported, "is: permission denied"}
	forbidden := []string{"procfs: mount /mnt/dir: mount(2) is not allowed here, and there is no fusermount3", unsupported, "is: operation not permitted"}
	powerless := []string{"procfs: mount /mnt/dir: mount(2) is not allowed here, and fusermount3 has no rights: ", unsupported, "is: operation not permitted"}

	for name, c := range map[string]struct {
		more   string // the command that prepares the room
		uid    int
		before string
		want   []string
	}{
		"there is no device":               {"mount -t tmpfs kprim /dev", 0, "", missing},
		"the device is closed":             {"chmod 600 /mnt/fuse", ordinary, "", closed},
		"there is no fusermount3":          {"", ordinary, "env PATH=/", forbidden},
		"fusermount3 gets no rights":       {"", ordinary, "setpriv --no-new-privs", powerless},
		"user 0 without the right for it":  {"", 0, "setpriv --bounding-set=-sys_admin", powerless},
		"user 0 without it or fusermount3": {"", 0, "setpriv --bounding-set=-sys_admin env PATH=/", forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			out := newRoom(t, c.more).role(t, c.uid, c.before, "mount", "/mnt/dir").drain()
			require.Len(t, out, 3, "%q", out)
			require.True(t, strings.HasPrefix(out[0], c.want[0]), "%q", out)
			require.Equal(t, c.want[1:], out[1:])
		})
	}
}

// A fusermount3 that ends well may have mounted, also if no descriptor arrives.
func TestFusermount3ThatSendsNoDescriptor(t *testing.T) {
	r := newRoom(t, `mkdir /mnt/bin
		printf '%s\n' '#!/bin/sh' 'echo "$@" >> /mnt/dir/calls' > /mnt/bin/fusermount3; chmod 755 /mnt/bin/fusermount3`)
	out := r.role(t, ordinary, "env PATH=/mnt/bin:/usr/bin:/bin", "mount", "/mnt/dir").drain()
	require.Equal(t, "procfs: mount /mnt/dir: fusermount3 sent no descriptor", out[0])
	calls, _ := r.run(t, ordinary, "cat /mnt/dir/calls")
	require.Regexp(t, `\A-o .* -- /mnt/dir\n-u -- /mnt/dir\n\z`, calls)
}

// An ordinary user's mistake gives the same error as user 0's mistake.
func TestOrdinaryUserMountsAtTheWrongPlace(t *testing.T) {
	r := newRoom(t, "touch /mnt/dir/file /mnt/theirs && chown 65534 /mnt/dir/file; mkdir /mnt/locked")
	for place, want := range map[string]string{
		"/mnt/none":          "is: no such file or directory",
		"/mnt/dir/file":      "is: not a directory",
		"/mnt/dir file":      "is: not a directory",
		"/mnt/dir/file file": "mounted",
		"/mnt/dir":           "mounted",
		"/mnt/locked":        "is: operation not permitted",
	} {
		out := r.role(t, ordinary, "", "mount", strings.Fields(place)...).drain()
		require.NotEmpty(t, out)
		require.Equal(t, want, out[len(out)-1], "%s: %q", place, out)
		require.NotContains(t, out, "is: unsupported operation")
	}
}

// The kernel can end a connection that does not answer in time.
func TestMountWarnsOfARequestTimeout(t *testing.T) {
	for _, name := range []string{"default_request_timeout", "max_request_timeout"} {
		r := newRoom(t, "echo 30 > /mnt/30; mount --bind /mnt/30 /proc/sys/fs/fuse/"+name)
		require.Equal(t, []string{
			"procfs: fs.fuse." + name + " is 30: an open that blocks for 30 seconds ends the mount; set it to 0 before the mount",
			"mounted",
		}, r.role(t, 0, "", "mount", "/mnt/dir").drain())
	}
	require.Equal(t, []string{"mounted"}, newRoom(t, "").role(t, 0, "", "mount", "/mnt/dir").drain())
}
