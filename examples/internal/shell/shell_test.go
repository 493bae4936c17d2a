//go:build linux || darwin || freebsd

package shell_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/internal/shell"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/usermodehelper"
	"github.com/kprim/kprim/waitqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSession(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	var screen strings.Builder
	s, err := shell.New(&screen)
	require.NoError(t, err)

	s.Title("a part")
	s.Type("insmod test.ko")
	s.Register(s.Helper())
	s.ShowLog() // there is none yet
	path := s.Handler.Load()
	_, err = usermodehelper.Call(context.Background(), path, nil,
		usermodehelper.Environ("TROUBLED_DS=9527"), usermodehelper.WaitProc)
	require.NoError(t, err)
	s.ShowLog()
	s.EmptyLog()
	s.ShowLog()
	s.Register("")
	require.Empty(t, s.Handler.Load())
	require.NoError(t, s.Close())

	require.Equal(t, strings.ReplaceAll(`==== a part ====
# insmod test.ko
# echo PATH > /proc/sys/kernel/myevent_handler
# cat messages
# cat messages
kernel Datastructure 9527 is in trouble
# > messages
# cat messages
# echo > /proc/sys/kernel/myevent_handler
`, "PATH", path), screen.String())
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left, "the helper's directory is removed")
}

func TestPsShowsAThreadThatSleeps(t *testing.T) {
	var screen strings.Builder
	s, err := shell.New(&screen)
	require.NoError(t, err)
	defer s.Close()
	var queue waitqueue.Queue
	thread := kthread.Run("mykthread", func(cur *kthread.Current) error {
		return cur.Wait(&queue, cur.ShouldStop)
	})
	for thread.Info().State != waitqueue.Interruptible {
		runtime.Gosched()
	}
	s.Ps(thread)
	require.NoError(t, thread.Stop())
	s.Ps(thread)
	require.Equal(t, "# ps -o stat,comm | grep mykthread\nS    mykthread\n"+
		"# ps -o stat,comm | grep mykthread\nX    mykthread\n", screen.String())
}

// full is a screen that takes no text.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// The session goes on after an error, and has a later one too.
func TestCloseReturnsTheFirstError(t *testing.T) {
	s, err := shell.New(full{})
	require.NoError(t, err)
	s.Type("rmmod test")
	s.Register("/" + strings.Repeat("x", 255))
	require.ErrorIs(t, s.Close(), syscall.ENOSPC)
}

// The entry would cut the path, and then another path would be run.
func TestPathThatIsTooLong(t *testing.T) {
	s, err := shell.New(new(strings.Builder))
	require.NoError(t, err)
	s.Register("/" + strings.Repeat("x", 255))
	require.ErrorContains(t, s.Close(), "keeps 255 bytes of the path: /x")
}

func TestLogThatCannotBeReadOrEmptied(t *testing.T) {
	s, err := shell.New(new(strings.Builder))
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(filepath.Dir(s.Helper()), "messages"), 0o700))
	s.ShowLog()
	require.ErrorIs(t, s.Close(), syscall.EISDIR)

	s, err = shell.New(new(strings.Builder))
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(filepath.Dir(s.Helper()), "messages"), 0o700))
	s.EmptyLog()
	require.ErrorIs(t, s.Close(), syscall.EISDIR)
}

func TestRelativeDirectoryOfTemporaryFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("a b", 0o700))
	t.Setenv("TMPDIR", "a b")
	s, err := shell.New(new(strings.Builder))
	require.NoError(t, err)
	require.True(t, filepath.IsAbs(s.Helper()))
	require.NoError(t, s.Close())
}
