//go:build linux || darwin || freebsd

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// The session ends in order if all alerts are lost, and says so.
func TestSessionWithAHelperThatFails(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	defer func(before []byte) { script = before }(script)
	script = append(script, "exit 3\n"...)
	var out strings.Builder
	require.ErrorContains(t, session(t.Context(), &out, nil), "2 alerts were not sent")
	require.Contains(t, out.String(), "posted 4: served 0, failed 3, coalesced 1\n# cat mailbox\n"+
		"kernel datastructure 9527 is in trouble\nkernel datastructure 4711 is in trouble\n")
	require.Equal(t, 2, strings.Count(out.String(), ": exit status 3\n"))
	require.Empty(t, kthread.Tasks())
	requireNothingIn(t, temp)
}

// If mail fails, the alerts fail too, and the copies are there. Without -mail no
// alert fails.
func TestSessionWhereMailFails(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "mail"), []byte("#!/bin/sh\nexit 75\n"), 0o755))
	defer func(before []byte) { script = before }(script)
	script = bytes.Replace(script, []byte("\n"), []byte("\nPATH='"+bin+"'\n"), 1)
	var out strings.Builder
	require.ErrorContains(t, session(t.Context(), &out, []string{"-mail"}), "2 alerts were not sent")
	require.Contains(t, out.String(), "posted 4: served 0, failed 3, coalesced 1\n# cat mailbox\n"+
		"kernel datastructure 9527 is in trouble\nkernel datastructure 4711 is in trouble\n")
	require.Equal(t, 2, strings.Count(out.String(), ": exit status 75\n"))

	out.Reset()
	require.NoError(t, session(t.Context(), &out, nil))
	require.Equal(t, transcript, mask(t, out.String()))
}

func TestRelativeDirectoryOfTemporaryFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("a b", 0o700))
	t.Setenv("TMPDIR", "a b")
	var out strings.Builder
	require.NoError(t, session(t.Context(), &out, nil))
	require.Equal(t, transcript, mask(t, out.String()))
}

// A full is a screen that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestOutputThatCannotBeWritten(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	require.ErrorIs(t, session(t.Context(), full{}, nil), syscall.ENOSPC)
	require.Empty(t, kthread.Tasks())
	requireNothingIn(t, temp)
}

// A vandal is a screen that makes the helper useless right before the session
// tests it. By then the thread sleeps.
type vandal struct{ dir string }

func (v vandal) Write(text []byte) (int, error) {
	if strings.HasPrefix(string(text), "# test -x") {
		paths, _ := filepath.Glob(filepath.Join(v.dir, "*", "helper"))
		for _, path := range paths {
			_ = os.Chmod(path, 0o600)
		}
		for kthread.Tasks()[0].State != waitqueue.Interruptible {
			runtime.Gosched()
		}
	}
	return len(text), nil
}

// The session gives up. Its thread will print when it is stopped, and no reader
// of the console is left.
func TestSessionThatGivesUp(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	ended := make(chan error, 1)
	go func() { ended <- session(t.Context(), vandal{temp}, nil) }()
	select {
	case err := <-ended:
		require.ErrorContains(t, err, "test -x")
		require.ErrorIs(t, err, os.ErrPermission)
	case <-time.After(time.Minute):
		t.Fatal("the thread cannot be stopped")
	}
	require.Empty(t, kthread.Tasks())
	requireNothingIn(t, temp)
}

// The session runs no helper if the path does not fit into the entry.
func TestPathThatIsTooLong(t *testing.T) {
	temp := t.TempDir()
	long := filepath.Join(temp, strings.Repeat("x", 255-len(temp)-1))
	require.NoError(t, os.Mkdir(long, 0o700))
	t.Setenv("TMPDIR", long)
	var out strings.Builder
	err := session(t.Context(), &out, nil)
	require.ErrorContains(t, err, "keeps 255 bytes of the path: "+long)
	require.Empty(t, out.String())
	requireNothingIn(t, long)
}

// The longest directory in which the session runs: one slash more is one too
// many.
func TestPathThatFits(t *testing.T) {
	temp := t.TempDir()
	// The numbers of MkdirTemp have at most ten digits.
	name := strings.Repeat("x", 255-len("/helper")-len("/kthread-loop-1234567890")-len(temp)-1)
	long := filepath.Join(temp, name)
	require.NoError(t, os.Mkdir(long, 0o700))
	t.Setenv("TMPDIR", long)
	var out strings.Builder
	require.NoError(t, session(t.Context(), &out, nil))
	require.Equal(t, transcript, mask(t, out.String()))
}
