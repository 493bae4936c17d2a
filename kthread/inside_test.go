package kthread_test

import (
	"context"
	"encoding/json"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/models"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// A thread that would wait for its own end is told so, at any depth.
func TestThreadCannotWaitForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		self := make(chan *kthread.Thread, 1)
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			me := <-self
			require.ErrorIs(t, me.Wait(context.Background()), syscall.EDEADLK)
			require.False(t, cur.ShouldStop())
			require.ErrorIs(t, deep(200, me.Stop), syscall.EDEADLK)
			require.True(t, cur.ShouldStop(), "it has asked")
			require.ErrorIs(t, me.StopContext(context.Background()), syscall.EDEADLK)
			return errMine
		})
		self <- thread
		require.Equal(t, errMine, thread.Wait(t.Context()))
	})
}

// The traceback of such a call is longer than 64 KiB.
func TestThreadCannotWaitForItselfWithALongTraceback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		self := make(chan *kthread.Thread, 1)
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			me := <-self
			require.ErrorIs(t, longNamed(120, func() error { return me.Wait(context.Background()) }), syscall.EDEADLK)
			require.ErrorIs(t, longNamed(120, me.Stop), syscall.EDEADLK)
			return errMine
		})
		self <- thread
		require.Equal(t, errMine, thread.Wait(t.Context()))
	})
}

// As above, for a work that would wait for its own worker, and for itself.
func TestWorkCannotWaitForItsOwnWorkerWithALongTraceback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		var k kthread.Work
		var flushed, flushedWork, cancelled error
		k.Func = func() {
			flushed = longNamed(120, func() error { return w.Flush(context.Background()) })
			flushedWork = longNamed(120, func() error { return k.Flush(context.Background()) })
			cancelled = longNamed(120, func() error { _, err := k.CancelSync(context.Background()); return err })
		}
		w.Queue(&k)
		synctest.Wait()
		for _, err := range []error{flushed, flushedWork, cancelled} {
			require.ErrorIs(t, err, syscall.EDEADLK)
		}
	})
}

// longNamed calls f at depth n. Each of its frames takes 700 bytes of a traceback.
func longNamed(n int, f func() error) error {
	return Fabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij(n, f)
}

func Fabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij(n int, f func() error) error {
	if n == 0 {
		return f()
	}
	return Fabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij(n-1, f)
}

// A thread that has announced a sleep step by step is not asleep yet.
func TestThreadCannotWaitForItselfBetweenSetStateAndSchedule(t *testing.T) {
	for _, state := range []waitqueue.State{waitqueue.Interruptible, waitqueue.Uninterruptible, waitqueue.Parked} {
		synctest.Test(t, func(t *testing.T) {
			self := make(chan *kthread.Thread, 1)
			thread := kthread.Run("t", func(cur *kthread.Current) error {
				me := <-self
				cur.Task().SetState(state)
				require.ErrorIs(t, me.Wait(context.Background()), syscall.EDEADLK)
				require.NoError(t, me.Park(context.Background()), "it parks at its next ParkMe")
				cur.Task().SetState(state)
				require.ErrorIs(t, me.Stop(), syscall.EDEADLK)
				return errMine
			})
			self <- thread
			require.Equal(t, errMine, thread.Wait(t.Context()))
		})
	}
}

// An obfuscator changes the names of functions and types, and so what a
// traceback says.
func TestThreadIsKnownWhateverItsFunctionsAreCalled(t *testing.T) {
	if testing.Short() || models.Race {
		t.Skip("builds the package once")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	replace := map[string]string{}
	for _, file := range []string{"kthread.go", "inside.go", "worker.go"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		path, err := filepath.Abs(file)
		require.NoError(t, err)
		replace[path] = filepath.Join(t.TempDir(), file)
		text = regexp.MustCompile(`\bmain\b`).ReplaceAll(text, []byte("xQ7"))
		require.NoError(t, os.WriteFile(replace[path], text, 0o600))
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "overlay.json")
	require.NoError(t, os.WriteFile(name, overlay, 0o600))
	out, err := exec.Command("go", "test", "-vet=off", "-short", "-count=1", "-timeout=60s",
		"-run=ThreadCannotWait|OthersCanWait|IsNotTheThread", "-overlay="+name, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func deep(n int, f func() error) error {
	if n == 0 {
		return f()
	}
	return deep(n-1, f)
}

// Another goroutine or thread may wait for a thread, while that sleeps and while it
// runs.
func TestOthersCanWaitForAThread(t *testing.T) {
	for name, work := range map[string]func(cur *kthread.Current, hold chan struct{}){
		"runs":   func(cur *kthread.Current, hold chan struct{}) { <-hold },
		"sleeps": func(cur *kthread.Current, hold chan struct{}) { _ = untilStopped(cur) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hold := make(chan struct{})
				thread := kthread.Run("t", func(cur *kthread.Current) error {
					work(cur, hold)
					return errMine
				})
				synctest.Wait()
				stopper := kthread.Run("stopper", func(*kthread.Current) error {
					return deep(100, thread.Stop)
				})
				synctest.Wait()
				require.Error(t, stopper.Wait(endedContext(t)))
				close(hold)
				require.Equal(t, errMine, stopper.Wait(t.Context()))
			})
		})
	}
}

// A goroutine that a thread has started is not the thread.
func TestGoroutineOfAThreadIsNotTheThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		self := make(chan *kthread.Thread, 1)
		result := make(chan error, 1)
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			me := <-self
			go func() { result <- me.Stop() }()
			for !cur.ShouldStop() {
				runtime.Gosched()
			}
			return errMine
		})
		self <- thread
		require.Equal(t, errMine, <-result)
	})
}

// Two calls of a thread that would wait for itself are not noticed, as the doc
// comment of Stop says.
func TestWaitForItselfThatIsNotNoticed(t *testing.T) {
	for name, call := range map[string]func(cur *kthread.Current, stop func() error) error{
		"in an iterator that the thread drives by iter.Pull": func(_ *kthread.Current, stop func() error) error {
			next, end := iter.Pull(func(yield func(error) bool) { yield(stop()) })
			defer end()
			err, _ := next()
			return err
		},
		"in the condition of a wait": func(cur *kthread.Current, stop func() error) (err error) {
			var q waitqueue.Queue
			calls := 0
			_ = cur.Wait(&q, func() bool {
				if calls++; calls == 2 {
					err = stop()
				}
				return calls == 2
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				thread := kthread.Run("t", func(cur *kthread.Current) error {
					return call(cur, func() error { return cur.Thread().StopContext(ctx) })
				})
				require.ErrorIs(t, thread.Wait(t.Context()), syscall.ETIMEDOUT)
			})
		})
	}
}
