//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
)

var manyOpeners = flag.Int("openers", 1000, "how many openers sleep at once")

// openers opens a file in n threads. A byte on the standard input interrupts all of them.
func openers(path string, n int) int {
	debug.SetMaxThreads(n + 1000)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGUSR1)
	threads, errs := make(chan int, n), make(chan error, n)
	for range n {
		go func() {
			runtime.LockOSThread()
			threads <- unix.Gettid()
			_, err := syscall.Open(path, syscall.O_RDONLY, 0)
			errs <- err
		}()
	}
	_, _ = os.Stdin.Read(make([]byte, 1))
	for range n {
		if err := unix.Tgkill(os.Getpid(), <-threads, unix.SIGUSR1); err != nil {
			fmt.Println("tgkill:", err)
		}
	}
	ends := map[error]int{}
	for range n {
		ends[<-errs]++
	}
	fmt.Println(ends)
	return 0
}

// interrupted opens a file n times in each of four threads, and signals each all the time.
func interrupted(path string, n int) int {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGUSR1)
	var pairs sync.WaitGroup
	var failed atomic.Bool
	for range 4 {
		threads, errs := make(chan int), make(chan error)
		pairs.Go(func() {
			runtime.LockOSThread()
			for range n {
				threads <- unix.Gettid()
				_, err := syscall.Open(path, syscall.O_RDONLY, 0)
				errs <- err
			}
		})
		pairs.Go(func() {
			for range n {
				if err := signalUntil(errs, <-threads); err != unix.EINTR {
					fmt.Println(err)
					failed.Store(true)
				}
			}
		})
	}
	pairs.Wait()
	if failed.Load() {
		return 1
	}
	return 0
}

func signalUntil(errs <-chan error, thread int) error {
	for {
		select {
		case err := <-errs:
			return err
		case <-time.After(rand.N(200 * time.Microsecond)):
			_ = unix.Tgkill(os.Getpid(), thread, unix.SIGUSR1)
		}
	}
}

// A signal may be there before the open has begun to sleep in the server. The kernel sends
// one interrupt for each request, so the server must not lose one that comes too early.
func TestEarlyInterruptIsNotLost(t *testing.T) {
	path, file := sleep(t)
	hold(t, path, file)
	client := startCmd(t, probing("interrupted", path, "250"))
	require.Equal(t, 0, client.Wait(t), "%s", &client.Out)
	require.Equal(t, 1, file.UseCount())
}

// A goroutine that ends is never counted as waiting, not for a moment. Otherwise the last
// waiting goroutine could begin to serve a request that blocks, and start no other.
func TestOnlyAGoroutineThatWaitsIsCounted(t *testing.T) {
	mayWait, leave, waiting := procfs.Readers()
	for range procfs.MaxIdle {
		require.True(t, mayWait())
	}
	var goroutines sync.WaitGroup
	var most atomic.Int64
	for range 4 {
		goroutines.Go(func() {
			for range 1_000_000 {
				mayWait()
				if n := int64(waiting()); n > most.Load() {
					most.Store(n)
				}
			}
		})
	}
	goroutines.Wait()
	require.LessOrEqual(t, most.Load(), int64(procfs.MaxIdle))
	for range procfs.MaxIdle {
		leave()
	}
	require.Zero(t, waiting())
}

// Many openers sleep at once. The test prints the figures, and asserts only that nothing is
// left at the end.
func TestManyOpeners(t *testing.T) {
	needFUSE(t)
	dir := t.TempDir()
	d := daemonOf(t, dir, inRole("serve", dir))
	start(t, "tail", "-f", d.path())
	d.users(t, 1)
	before, memory := d.state(), d.status(t, "VmRSS")

	cmd := probing("openers", d.path(), strconv.Itoa(*manyOpeners))
	cmd.Env = append(cmd.Env, "GODEBUG=asyncpreemptoff=1") // its signals would interrupt too
	input, err := cmd.StdinPipe()
	require.NoError(t, err)
	begin := time.Now()
	client := startCmd(t, cmd)
	d.users(t, 1+*manyOpeners)
	t.Logf("%d openers sleep after %v: %.1f KiB each, %d threads of the server; %s", *manyOpeners, time.Since(begin),
		float64(d.status(t, "VmRSS")-memory)/float64(*manyOpeners), d.status(t, "Threads"), d.state())

	begin = time.Now()
	_, err = input.Write([]byte("x"))
	require.NoError(t, err)
	require.Equal(t, 0, client.Wait(t))
	t.Logf("all interrupted after %v", time.Since(begin))
	require.Equal(t, fmt.Sprintf("map[interrupted system call:%d]\n", *manyOpeners), client.Out.String())
	processes.Eventually(t, "nothing is left", func() bool { return sameState(before, d.state()) })
}

// status returns a number of /proc/PID/status.
func (d *daemon) status(t testing.TB, name string) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.Process.Pid))
	require.NoError(t, err)
	found := regexp.MustCompile(`(?m)^` + name + `:\s+(\d+)`).FindSubmatch(text)
	require.NotNil(t, found, name)
	return atoi(string(found[1]))
}

// sameState compares two states of a daemon. One goroutine more or less waits for requests.
func sameState(a, b string) bool {
	goroutines := regexp.MustCompile(`(\d+) goroutines, `)
	n, m := goroutines.FindStringSubmatch(a), goroutines.FindStringSubmatch(b)
	return n != nil && m != nil && atoi(m[1]) <= atoi(n[1])+1 &&
		goroutines.ReplaceAllString(a, "") == goroutines.ReplaceAllString(b, "")
}
