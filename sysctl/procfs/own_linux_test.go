//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl/procfs"
)

// own uses the mount of its own process. It prints each error.
func own(args []string) int {
	server, err := procfs.Mount(args[0], (&counted{}).dir(), procfs.Options{Poll: args[1] == "poll"})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	path := filepath.Join(args[0], "sleep")
	for _, flag := range []int{os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_TRUNC} {
		_, err = os.OpenFile(path, flag, 0)
		fmt.Println(err)
	}
	info, err := os.Stat(path)
	fmt.Println(info.Mode(), err)
	entries, err := os.ReadDir(args[0])
	fmt.Println(entries, err)
	if err := server.Close(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// The runtime of Go polls each file that it opens. That question comes to the runtime
// itself, which waits for its answer: on one CPU nothing would go on.
func TestOwnMount(t *testing.T) {
	needFUSE(t)
	for _, procs := range []string{"1", "2"} {
		for _, poll := range []string{"poll", "no poll"} {
			t.Run(procs+" CPU, "+poll, func(t *testing.T) {
				dir := t.TempDir()
				cmd := inRole("own", dir, poll)
				cmd.Env = append(cmd.Env, "GOMAXPROCS="+procs)
				c := startCmd(t, cmd)
				detachAtEnd(t, dir)
				require.Equal(t, 0, c.Wait(t), "%s", &c.Out)
				refused := "open " + dir + "/sleep: resource deadlock avoided\n"
				require.Equal(t, refused+refused+refused+"-rw-r--r-- <nil>\n[- sleep] <nil>\n", c.Out.String())
			})
		}
	}
}
