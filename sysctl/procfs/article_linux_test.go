//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
	"github.com/kprim/kprim/usermodehelper"
)

// articleHelper is the helper of article 1. It writes its environment to a file next to
// itself. It is no shell script, because a shell would add variables.
func articleHelper([]string) int {
	environ, err := os.ReadFile("/proc/self/environ")
	if err == nil {
		err = os.WriteFile(os.Args[0]+".environ", environ, 0o600)
	}
	if err != nil {
		return 1
	}
	return 0
}

// This is article 1 with a real shell: root registers a helper by echo, a thread notices
// trouble, and another one starts the helper.
func TestHelperThatAShellRegisters(t *testing.T) {
	s := mountTree(t)
	handler := new(sysctl.Var[string])
	s.register(t, "kernel", sysctl.Entry{Name: "myevent_handler", Mode: 0o644, Handler: sysctl.DoString(handler, 256)})
	helper := filepath.Join(t.TempDir(), "article-helper") // the name says the role
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, helper))

	var myevent rwevent.Slot[uint]
	mythread := kthread.Run("josephthread", func(cur *kthread.Current) error {
		id, err := myevent.TakeBy(cur)
		if err != nil {
			return err
		}
		path := handler.Load()
		env := usermodehelper.Environ(fmt.Sprintf("TROUBLED_DS=%d", id))
		status, err := usermodehelper.Call(t.Context(), path, []string{path}, env, usermodehelper.WaitProc)
		if err == nil && status != 0 {
			err = fmt.Errorf("%s: %v", path, status)
		}
		return err
	})
	defer mythread.Stop() // if the test has failed before there was an event
	s.prints(t, helper+"\n", 0, fmt.Sprintf("echo %q > kernel/myevent_handler; cat kernel/myevent_handler", helper))
	monitor := kthread.Run("josephmonitor", func(*kthread.Current) error { return myevent.Post(9527) })

	ctx, cancel := context.WithTimeout(t.Context(), processes.Limit)
	defer cancel()
	require.NoError(t, monitor.Wait(ctx))
	require.NoError(t, mythread.Wait(ctx))
	environ, err := os.ReadFile(helper + ".environ")
	require.NoError(t, err)
	require.Equal(t, "HOME=/\x00PATH=/sbin:/usr/sbin:/bin:/usr/bin\x00TROUBLED_DS=9527\x00", string(environ))
}
