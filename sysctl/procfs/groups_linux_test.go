//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rights opens each file of a tree of modes. It returns, for each mode, whether the caller
// can read and write the file.
func rights(t testing.TB, c *caller) (found string) {
	for _, mode := range []string{"0640", "0644", "0646", "0604"} {
		found += " " + mode + "="
		for flag, letter := range []string{"r", "w"} {
			out := c.do(t, "open /mnt/dir/sys/%s %d", mode, flag)
			switch {
			case out == noEntry:
				letter = "-"
			case strings.Contains(out, " "):
				t.Fatal(out)
			}
			found += letter
		}
	}
	return found[1:]
}

const (
	ofUser0    = "0640=rw 0644=rw 0646=rw 0604=rw"
	ofMembers  = "0640=r- 0644=r- 0646=r- 0604=--"
	ofStranger = "0640=-- 0644=r- 0646=rw 0604=r-"
	ofBoth     = "0640=-- 0644=r- 0646=r- 0604=--"
)

// as returns a caller in the room, with its groups. before may be a command.
func (r *room) as(t testing.TB, uid, gid int, groups, before string) *caller {
	line := fmt.Sprintf("nsenter --mount=/proc/%d/ns/mnt %s setpriv --reuid=%d --regid=%d --groups=%s /usr/bin/env KPRIM_TEST_ROLE=orders /mnt/kprim",
		r.keeper.Process.Pid, before, uid, gid, groups)
	words := strings.Fields(line)
	return startCaller(t, exec.Command(words[0], words[1:]...))
}

// The request of FUSE has only the first group of a caller.
func TestSupplementaryGroupsCount(t *testing.T) {
	r := newRoom(t, "")
	server := r.role(t, 0, "", "servetree", "/mnt/dir")
	require.Equal(t, "serving", server.end(t))
	for _, c := range []struct {
		uid, gid int
		groups   string
		want     string
	}{
		{0, 0, "0", ofUser0},
		{0, 1000, "1000", ofUser0},
		{1000, 0, "1000", ofMembers},
		{1000, 1000, "0", ofMembers},
		{1000, 1000, "5,0,7", ofMembers},
		{1000, 1000, "10,100", ofStranger},
		{1000, 1000, "1000", ofStranger},
	} {
		require.Equal(t, c.want, rights(t, r.as(t, c.uid, c.gid, c.groups, "")), "%+v", c)
	}
	requireServerEnds(t, server)
}

// A caller in another namespace of process numbers has no number for the server. So its
// groups are unknown. It has the rights that members and strangers have alike.
func TestCallerWithoutANumber(t *testing.T) {
	r := newRoom(t, "")
	server := r.role(t, 0, "unshare -p -f --mount-proc --kill-child", "servetree", "/mnt/dir")
	require.Equal(t, "serving", server.end(t))
	pid := child(t, server.Process.Pid)
	enter := fmt.Sprintf("nsenter --mount=/proc/%d/ns/mnt", pid)

	require.Equal(t, ofBoth, rights(t, r.as(t, 1000, 1000, "0", enter)))
	require.Equal(t, ofBoth, rights(t, r.as(t, 1000, 1000, "10", enter)))
	require.Equal(t, ofUser0, rights(t, r.as(t, 0, 0, "0", enter)))
	require.Equal(t, ofMembers, rights(t, r.as(t, 1000, 0, "10", enter)), "the first group is in the request")

	enter = fmt.Sprintf("nsenter --mount=/proc/%d/ns/mnt --pid=/proc/%[1]d/ns/pid_for_children", pid)
	require.Equal(t, ofMembers, rights(t, r.as(t, 1000, 1000, "0", enter)), "a caller of the same namespace")
	require.Equal(t, ofStranger, rights(t, r.as(t, 1000, 1000, "10", enter)), "a caller of the same namespace")
}

// If /proc belongs to another namespace, its numbers mean other processes. So the server
// reads no groups there.
func TestServerWithTheProcOfOthers(t *testing.T) {
	r := newRoom(t, "")
	server := r.role(t, 0, "unshare -p -f --kill-child", "servetree", "/mnt/dir")
	require.Equal(t, "serving", server.end(t))
	enter := fmt.Sprintf("nsenter --pid=/proc/%d/ns/pid_for_children", child(t, server.Process.Pid))
	require.Equal(t, ofBoth, rights(t, r.as(t, 1000, 1000, "0", enter)))
	require.Equal(t, ofBoth, rights(t, r.as(t, 1000, 1000, "10", enter)))
	require.Equal(t, ofUser0, rights(t, r.as(t, 0, 0, "0", enter)))
}

// child returns the number of the only child of a process.
func child(t testing.TB, pid int) (child int) {
	out, _ := run(t, "cat", fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	_, err := fmt.Sscan(out, &child)
	require.NoError(t, err, out)
	return child
}
