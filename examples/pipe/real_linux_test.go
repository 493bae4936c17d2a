package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl/vfs"
	"github.com/kprim/kprim/waitqueue"
)

// ends are both ends of a pipe: of this package, or of the kernel. Each call shows its
// result. An end is a number: 0 to read, and 1 to write.
type ends interface {
	read(size int) string
	write(text []byte) string
	poll(end int) vfs.PollEvents
	dup(end int)
	close(end int)
}

// ours is a pipe of this package.
type ours struct{ file [2]*file }

func newOurs(slots int, nonblock bool) *ours {
	r, w := newPipe(new(sync.Mutex), slots, os.Getpagesize())
	r.nonblock, w.nonblock = nonblock, nonblock
	return &ours{[2]*file{r, w}}
}

func (m *ours) read(size int) string {
	buf := make([]byte, size)
	n, err := m.file[0].read(new(waitqueue.Task), buf)
	return shown(buf, n, err)
}

func (m *ours) write(text []byte) string {
	return result(m.file[1].write(new(waitqueue.Task), text))
}

func (m *ours) poll(end int) vfs.PollEvents { return m.file[end].poll() }
func (m *ours) close(end int)               { m.file[end].close() }

func (m *ours) dup(end int) {
	if end == 0 {
		m.file[0].readers++
	} else {
		m.file[1].writers++
	}
}

// A realPipe is a pipe of the kernel. Each end may have several descriptors. The last one
// is in use.
type realPipe struct {
	t   *testing.T
	fds [2][]int
}

const setPipeSize = 1031 // F_SETPIPE_SZ

func newRealPipe(t *testing.T, slots int, flags int) *realPipe {
	fds := make([]int, 2)
	require.NoError(t, syscall.Pipe2(fds, flags|syscall.O_CLOEXEC))
	p := &realPipe{t, [2][]int{fds[:1:1], fds[1:]}}
	t.Cleanup(func() {
		for _, fd := range append(p.fds[0], p.fds[1]...) {
			_ = syscall.Close(fd)
		}
	})
	size := slots * os.Getpagesize()
	got, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fds[1]), setPipeSize, uintptr(size))
	if errno == syscall.EINVAL || int(got) != size {
		t.Skipf("this system makes no pipe of %d bytes: %d, %v", size, got, errno)
	}
	return p
}

func (p *realPipe) fd(end int) int { return p.fds[end][len(p.fds[end])-1] }

func (p *realPipe) read(size int) string {
	buf := make([]byte, size)
	n, err := syscall.Read(p.fd(0), buf)
	return shown(buf, n, err)
}

func (p *realPipe) write(text []byte) string { return result(syscall.Write(p.fd(1), text)) }

// poll is ppoll(2) with a timeout of 0. It asks for every event.
func (p *realPipe) poll(end int) vfs.PollEvents {
	pollfd := struct {
		fd              int32
		events, revents int16
	}{int32(p.fd(end)), int16(vfs.PollIn | vfs.PollOut | vfs.PollRdNorm | vfs.PollWrNorm), 0}
	var atOnce syscall.Timespec
	errno := syscall.EINTR
	for errno == syscall.EINTR { // also by a signal of Go's runtime
		_, _, errno = syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&pollfd)), 1,
			uintptr(unsafe.Pointer(&atOnce)), 0, 0, 0)
	}
	require.Zero(p.t, errno)
	return vfs.PollEvents(pollfd.revents)
}

func (p *realPipe) dup(end int) {
	fd, err := syscall.Dup(p.fd(end))
	require.NoError(p.t, err)
	p.fds[end] = append(p.fds[end], fd)
}

func (p *realPipe) close(end int) {
	require.NoError(p.t, syscall.Close(p.fd(end)))
	p.fds[end] = p.fds[end][:len(p.fds[end])-1]
}

// shown has the bytes of a read in few characters.
func shown(buf []byte, n int, err error) string {
	if n <= 0 {
		return result(n, err)
	}
	return fmt.Sprintf("%s: %c..%c", result(n, err), buf[0], buf[n-1])
}

// Random scripts of calls that do not sleep have the same results on a pipe of the kernel.
// The results are counts, errors, bytes and the events of both ends.
func TestModelIsARealPipe(t *testing.T) {
	scripts := 1000
	if testing.Short() {
		scripts = 100
	}
	seen := map[string]int{}
	for seed := range scripts {
		slots := 1 << (seed % 3)
		t.Run("", func(t *testing.T) {
			dice := rand.New(rand.NewPCG(uint64(seed), 0))
			real, ours := newRealPipe(t, slots, syscall.O_NONBLOCK), newOurs(slots, true)
			open := [2]int{1, 1}
			for step := range 60 {
				call := randomCall(dice, &open)
				want, got := call.make(real), call.make(ours)
				require.Equal(t, want, got, "seed %d, step %d: %v", seed, step, call)
				seen[call.name]++
				for end := range 2 {
					if open[end] > 0 {
						want, got := real.poll(end), ours.poll(end)
						require.Equal(t, want, got, "seed %d, step %d: %v, events of end %d", seed, step, call, end)
						seen["events "+got.String()]++
					}
				}
				seen[want]++
			}
		})
	}
	for _, result := range []string{
		"read", "write", "close", "dup", "0", eagain, epipe, fmt.Sprint(os.Getpagesize()),
		"events POLLIN|POLLRDNORM", "events POLLIN|POLLHUP|POLLRDNORM", "events POLLHUP",
		"events POLLOUT|POLLWRNORM", "events POLLOUT|POLLERR|POLLWRNORM", "events POLLERR", "events 0",
	} {
		require.Greater(t, seen[result], 10, "%q", result)
	}
}

// A call is one call of a script.
type call struct {
	name string
	size int // of a read or write
	text byte
	end  int // of a close or dup
}

func (c call) make(p ends) string {
	switch c.name {
	case "read":
		return p.read(c.size)
	case "write":
		return p.write(bytes.Repeat([]byte{c.text}, c.size))
	case "close":
		p.close(c.end)
	case "dup":
		p.dup(c.end)
	}
	return c.name
}

// randomCall returns a call for an end that is open. It counts the descriptors of each end.
func randomCall(dice *rand.Rand, open *[2]int) call {
	end := dice.IntN(2)
	if open[end] == 0 {
		end = 1 - end
	}
	if open[end] == 0 {
		return call{name: "nothing"}
	}
	switch n := dice.IntN(40); {
	case n == 0:
		open[end]--
		return call{name: "close", end: end}
	case n == 1 && open[end] < 4:
		open[end]++
		return call{name: "dup", end: end}
	}
	page := os.Getpagesize()
	size := []int{0, 1, page / 2, page - 1, page, page + 1, 2 * page, 3*page - 1, dice.IntN(3 * page)}[dice.IntN(9)]
	if dice.IntN(4) == 0 {
		size = dice.IntN(page / 4)
	}
	name := "read"
	if end == 1 {
		name = "write"
	}
	return call{name, size, 'a' + byte(dice.IntN(26)), 0}
}

// eachPipe runs a test with a blocking pipe of the kernel, and with one of this package. Both
// have one page.
func eachPipe(t *testing.T, test func(t *testing.T, p ends, page int)) {
	t.Run("real", func(t *testing.T) { test(t, newRealPipe(t, 1, 0), os.Getpagesize()) })
	t.Run("ours", func(t *testing.T) { test(t, newOurs(1, false), os.Getpagesize()) })
}

// start makes a call on a goroutine of its own. The call may sleep. It has one result, even
// if the end of the sleep comes before it.
func start(call func() string) chan string {
	result := make(chan string, 1)
	go func() { result <- call() }()
	return result
}

func TestSleepingReadGetsAWrite(t *testing.T) {
	eachPipe(t, func(t *testing.T, p ends, _ int) {
		got := start(func() string { return p.read(10) })
		require.Equal(t, "2", p.write([]byte("ab")))
		require.Equal(t, "2: a..b", <-got)
	})
}

func TestSleepingReadGetsTheEnd(t *testing.T) {
	eachPipe(t, func(t *testing.T, p ends, _ int) {
		got := start(func() string { return p.read(10) })
		p.close(1)
		require.Equal(t, "0", <-got)
	})
}

func TestSleepingWriteGoesOn(t *testing.T) {
	eachPipe(t, func(t *testing.T, p ends, page int) {
		got := start(func() string { return p.write(bytes.Repeat([]byte("x"), 3*page)) })
		total := 0
		for total < 3*page {
			var n int
			_, err := fmt.Sscan(p.read(page/2), &n)
			require.NoError(t, err)
			total += n
		}
		require.Equal(t, fmt.Sprint(3*page), <-got)
	})
}

// A write that has moved bytes returns their number. In the kernel the signal comes too.
func TestSleepingWriteLosesItsReader(t *testing.T) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGPIPE)
	defer signal.Stop(signals)
	eachPipe(t, func(t *testing.T, p ends, page int) {
		_, isReal := p.(*realPipe)
		got := start(func() string { return p.write(bytes.Repeat([]byte("x"), page+1)) })
		for p.poll(0) == 0 { // The first page is not there yet.
			runtime.Gosched()
		}
		p.close(0)
		require.Equal(t, fmt.Sprint(page), <-got)
		if isReal {
			require.Equal(t, syscall.SIGPIPE, <-signals)
		}
		require.Equal(t, epipe, p.write([]byte("g")))
		if isReal {
			require.Equal(t, syscall.SIGPIPE, <-signals)
		}
	})
}
