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

// A traceback of such a call is longer than 64 KiB.
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
		w.Enqueue(&k)
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

// An obfuscator changes the names of functions and types. The tag purego takes the
// assembly away, so that the other way to know a goroutine has its test on every system.
func TestThreadIsKnownWhateverItsFunctionsAreCalled(t *testing.T) {
	if testing.Short() || models.Race {
		t.Skip("builds the package twice")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	path, err := filepath.Abs("kthread.go")
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	renamed := filepath.Join(t.TempDir(), "kthread.go")
	text = regexp.MustCompile(`\bmain\b`).ReplaceAll(text, []byte("xQ7"))
	require.NoError(t, os.WriteFile(renamed, text, 0o600))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: renamed}})
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "overlay.json")
	require.NoError(t, os.WriteFile(name, overlay, 0o600))
	for way, build := range map[string]string{"renamed": "-overlay=" + name, "purego": "-tags=purego"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			out, err := exec.Command("go", "test", "-vet=off", "-short", "-count=1", "-timeout=60s",
				"-run=ThreadCannotWait|OthersCanWait|IsNotTheThread|TestSelf", build, ".").CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
	}
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

// The goroutine of a thread that is gone may become a goroutine for another function.
// That one may wait for the thread, and gets its error.
func TestReusedGoroutineIsNotTheThread(t *testing.T) {
	const most = 100000
	for range most {
		var was uintptr
		thread := kthread.Run("t", func(*kthread.Current) error {
			was = kthread.Self()
			return errMine
		})
		require.Equal(t, errMine, thread.Wait(t.Context()))
		reused, answer := make(chan bool), make(chan error, 1)
		go func() {
			reused <- kthread.Self() == was
			answer <- thread.Stop()
		}()
		again := <-reused
		require.Equal(t, errMine, <-answer)
		if again || !kthread.Reused {
			return
		}
	}
	t.Fatal("no goroutine was used again")
}

// A goroutine has one identity for as long as it lives, also when its stack has moved,
// and no other goroutine that lives has it.
func TestSelf(t *testing.T) {
	const others = 100
	mine := kthread.Self()
	require.NotZero(t, mine)
	ids, end := make(chan uintptr), make(chan struct{})
	defer close(end)
	for range others {
		go func() {
			ids <- kthread.Self()
			<-end
		}()
	}
	seen := map[uintptr]bool{mine: true}
	for range others {
		seen[<-ids] = true
	}
	require.Len(t, seen, others+1)
	require.NoError(t, deep(10000, func() error {
		runtime.Gosched()
		require.Equal(t, mine, kthread.Self())
		return nil
	}))
}

// A thread that calls in the condition of a wait is noticed, before and after it has
// announced the sleep.
func TestThreadCannotWaitForItselfInACondition(t *testing.T) {
	for announced := 1; announced <= 2; announced++ {
		synctest.Test(t, func(t *testing.T) {
			var q waitqueue.Queue
			thread := kthread.Run("t", func(cur *kthread.Current) error {
				tests := 0
				require.NoError(t, cur.Wait(&q, func() bool {
					if tests++; tests < announced {
						return false
					}
					require.ErrorIs(t, cur.Thread().Wait(context.Background()), syscall.EDEADLK)
					require.NoError(t, cur.Thread().Park(context.Background()), "it parks at its next ParkMe")
					require.ErrorIs(t, cur.Thread().Stop(), syscall.EDEADLK)
					return true
				}))
				return errMine
			})
			require.Equal(t, errMine, thread.Wait(t.Context()))
		})
	}
}

// A call in an iterator that the thread drives by iter.Pull is not noticed, as the doc
// comment of Stop says.
func TestWaitForItselfThatIsNotNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			next, end := iter.Pull(func(yield func(error) bool) { yield(cur.Thread().StopContext(ctx)) })
			defer end()
			err, _ := next()
			return err
		})
		require.ErrorIs(t, thread.Wait(t.Context()), syscall.ETIMEDOUT)
	})
}
