package kthread_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/kthread"
)

// The test binary is also a program with a thread that panics.
func TestMain(m *testing.M) {
	if os.Getenv("KPRIM_TEST_PANIC") == "work" {
		q := kthread.AllocWorkqueue("boom", 2)
		k := kthread.Work{Func: func() { panic("boom") }}
		q.Enqueue(&k)
		fmt.Println("heard of it:", k.Flush(context.Background()))
		os.Exit(0)
	}
	if os.Getenv("KPRIM_TEST_PANIC") != "" {
		thread, err := kthread.Start(context.Background(), "boom", func(*kthread.Current) error { panic("boom") })
		fmt.Println("heard of it:", thread, err)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("runtime.handleEvent")) // of the runtime itself, on js
}

// No waiter hears of the end of the thread before the program ends.
func TestPanicInAThreadEndsTheProgram(t *testing.T) {
	if runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Skip("a program cannot start itself on " + runtime.GOOS)
	}
	self, err := os.Executable()
	require.NoError(t, err)
	for i := range 40 {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "KPRIM_TEST_PANIC="+[]string{"thread", "work"}[i%2])
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if runtime.GOOS == "linux" && errors.Is(err, syscall.Errno(8)) { // ENOEXEC
			t.Skip("started outside of the emulator that runs this program: ", err)
		}
		require.Error(t, err)
		require.Empty(t, string(out))
		require.Contains(t, stderr.String(), "panic: boom")
		require.Contains(t, stderr.String(), "TestMain.func", "where it happened")
	}
}

func TestThreadNeedsAFunction(t *testing.T) {
	require.PanicsWithValue(t, "kthread: a thread needs a function", func() { kthread.Create("t", nil) })
	require.Panics(t, func() { kthread.Run("t", nil) })
	require.Panics(t, func() { _, _ = kthread.Start(t.Context(), "t", nil) })
}
