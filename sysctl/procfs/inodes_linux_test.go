//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
	"github.com/kprim/kprim/sysctl/vfs"
)

func TestTwoServersAtOnce(t *testing.T) {
	first, _ := sleep(t)
	second, file := sleep(t)
	hold(t, second, file)
	out, code := bash(t, filepath.Dir(first), "echo first > sleep; cat sleep")
	require.Equal(t, 0, code, out)
	require.Equal(t, "Last input:first\n\n", out)
	require.Equal(t, 1, file.UseCount())
}

// One file at two names, and at two mounts, is one file.
func TestOneFileAtTwoMounts(t *testing.T) {
	file := &counted{}
	first, _ := mount(t, vfs.Static(map[string]vfs.Node{"a": file, "b": file}), procfs.Options{})
	second, _ := mount(t, file, procfs.Options{})
	out, code := bash(t, first, "echo hello > a; stat -c %i a b | uniq | wc -l; cat b "+second)
	require.Equal(t, 0, code, out)
	require.Equal(t, "1\nLast input:hello\n\nLast input:hello\n\n", out)
}

// A changing directory has names that come and go.
type changing struct {
	vfs.Dir // the attributes
	mu      sync.Mutex
	nodes   map[string]vfs.Node
}

func (c *changing) set(name string, node vfs.Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if node == nil {
		delete(c.nodes, name)
	} else {
		c.nodes[name] = node
	}
}

func (c *changing) Lookup(name string) (vfs.Node, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if node := c.nodes[name]; node != nil {
		return node, nil
	}
	return nil, &fs.PathError{Op: "lookup", Path: name, Err: syscall.ENOENT}
}

func (c *changing) Names() ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for name := range c.nodes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// The kernel gives the number of an inode back when the file has no name and no user any
// more. A file that is open works on.
func TestNamesThatComeAndGoLeaveNoInode(t *testing.T) {
	dir := &changing{Dir: vfs.Static(nil), nodes: map[string]vfs.Node{}}
	path, server := mount(t, dir, procfs.Options{})
	file := &counted{}
	dir.set("open", file)
	cmd := exec.Command("bash", "-c", "exec 3< "+filepath.Join(path, "open")+"; cat > /dev/null; cat <&3")
	input, err := cmd.StdinPipe()
	require.NoError(t, err)
	holder := startCmd(t, cmd)
	processes.Eventually(t, "the file is open", func() bool { return file.UseCount() == 1 })
	dir.set("open", nil)
	_, err = os.Stat(filepath.Join(path, "open")) // the kernel learns here that the name is gone
	require.ErrorIs(t, err, fs.ErrNotExist)
	for n := range 200 {
		name := fmt.Sprint("name", n)
		dir.set(name, &counted{})
		_, err := os.Stat(filepath.Join(path, name))
		require.NoError(t, err)
		dir.set(name, nil)
		_, err = os.Stat(filepath.Join(path, name))
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
	processes.Eventually(t, "the root and the open file are left", func() bool { return procfs.Inodes(server) == 2 })
	require.NoError(t, input.Close())
	require.Equal(t, 0, holder.Wait(t))
	require.Equal(t, "Last input:\n", holder.Out.String())
	processes.Eventually(t, "the root is left", func() bool { return procfs.Inodes(server) == 1 })
}

// drop_caches has the kernel give back each number that no process uses.
func TestForget(t *testing.T) {
	nodes := map[string]vfs.Node{}
	for n := range 200 {
		nodes[fmt.Sprint("name", n)] = &counted{}
	}
	file := &counted{}
	nodes["open"] = file
	dir, server := mount(t, vfs.Static(nodes), procfs.Options{})
	out, code := bash(t, dir, `
		exec 3< open
		stat -t * | wc -l
		echo 2 > /proc/sys/vm/drop_caches
		cat <&3 3<&- ; stat -c %n open name7`)
	if strings.Contains(out, "drop_caches") {
		t.Skip("skipped: this user may not drop caches")
	}
	require.Equal(t, 0, code, out)
	require.Equal(t, "201\nLast input:\nopen\nname7\n", out)
	processes.Eventually(t, "few are left", func() bool { return procfs.Inodes(server) <= 3 })
}
