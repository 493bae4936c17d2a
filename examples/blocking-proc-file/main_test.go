package main

import (
	_ "embed"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/internal/printk"
	"github.com/kprim/kprim/kthread"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

//go:embed testdata/transcript.txt
var transcript string

func TestTranscriptIsTheSameEveryTime(t *testing.T) {
	for range 200 {
		var out strings.Builder
		require.NoError(t, session(&out))
		require.Equal(t, transcript, out.String())
	}
}

// machine returns a shell that has the CPU, and its output.
func machine(t *testing.T) (sh *shell, out *strings.Builder) {
	out = new(strings.Builder)
	sh = newShell(out)
	sh.cpu.Lock()
	t.Cleanup(func() {
		require.NoError(t, sh.err)
		require.False(t, sh.sleep.waitQ.Active(), "no thread is left asleep")
		sh.cpu.Unlock()
	})
	return sh, out
}

// An opening is an open in a process of its own.
type opening struct {
	thread   *kthread.Thread
	file     *file
	err      error
	returned bool // from open
}

func (sh *shell) startOpen(command string, flags int) *opening {
	o := new(opening)
	sh.prompt(command)
	o.thread = sh.start("opener", func(p *process) error {
		o.file, o.err = sh.sleep.open(p, flags)
		o.returned = true
		return nil
	})
	return o
}

// open is for a test that does not expect to sleep.
func (sh *shell) open(command string, flags int) (*file, error) {
	o := sh.startOpen(command, flags)
	sh.wait(o.thread)
	return o.file, o.err
}

func TestWriteKeeps79(t *testing.T) {
	sh, _ := machine(t)
	digits := strings.Repeat("0123456789", 20)
	for _, length := range []int{0, 1, 78, 79, 80, 100, 200} {
		f, err := sh.open("#", readWrite)
		require.NoError(t, err)
		n, err := f.Write([]byte(digits[:length]))
		require.Equal(t, min(length, 79), n)
		if length > 79 {
			require.ErrorIs(t, err, io.ErrShortWrite)
		} else {
			require.NoError(t, err)
		}
		text, err := io.ReadAll(f)
		require.NoError(t, err)
		require.Equal(t, "Last input:"+digits[:n]+"\n", string(text))
		require.LessOrEqual(t, len(text)+1, 92, "with its NUL: the original's buffer has 110")
		n, err = f.Write([]byte(digits[n:length]))
		require.Equal(t, min(length-min(length, 79), 79), n)
		require.NoError(t, f.Close())
		if length == 100 {
			require.NoError(t, err)
			require.Equal(t, 21, n)
			require.Equal(t, digits[79:100], sh.sleep.message, "the rest replaces the message")
		}
	}
}

func TestReadGivesTheLineAndThenTheEnd(t *testing.T) {
	sh, _ := machine(t)
	for _, message := range []string{"", "hello\n"} {
		sh.sleep.message = message
		f, err := sh.open("#", readOnly)
		require.NoError(t, err)
		require.NoError(t, iotest.TestReader(f, []byte("Last input:"+message+"\n")))
		n, err := f.Read(make([]byte, 200))
		require.Zero(t, n)
		require.ErrorIs(t, err, io.EOF, "and it is not given again")
		require.NoError(t, f.Close())
	}
}

// Two ways in which a reader would meet the static finished of another reader.
func TestEndOfFileIsTheReadersOwn(t *testing.T) {
	sh, _ := machine(t)
	f, err := sh.open("#", readOnly)
	require.NoError(t, err)
	n, err := f.Read(make([]byte, 4)) // head -c 4
	require.NoError(t, err)
	require.Equal(t, 4, n)
	require.NoError(t, f.Close())
	f, err = sh.open("#", readOnly)
	require.NoError(t, err)
	text, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, "Last input:\n", string(text))
	require.NoError(t, f.Close())

	readers := []*file{{inode: sh.sleep, op: mayRead}, {inode: sh.sleep, op: mayRead}}
	for _, want := range []string{"Last input:\n", ""} {
		for _, f := range readers {
			buf := make([]byte, 200)
			n, _ := f.Read(buf)
			require.Equal(t, want, string(buf[:n]))
		}
	}
}

func TestWouldBlockIsNotCounted(t *testing.T) {
	sh, _ := machine(t)
	f, err := sh.open("#", readOnly|nonblock)
	require.NoError(t, err, "it is free")
	_, err = sh.open("#", readOnly|nonblock)
	require.ErrorIs(t, err, syscall.EAGAIN)
	require.Equal(t, 1, sh.sleep.useCount)
	require.NoError(t, f.Close())
	require.Zero(t, sh.sleep.useCount)
}

func TestInterruptedOpenGivesTheCountBack(t *testing.T) {
	sh, _ := machine(t)
	f, err := sh.open("#", readOnly)
	require.NoError(t, err)
	o := sh.startOpen("#", readOnly)
	require.Equal(t, 2, sh.sleep.useCount)
	require.Equal(t, "S", o.thread.Info().State.String())
	require.Equal(t, "WaitQ", o.thread.Info().Wchan)
	require.False(t, o.returned, "it is still inside open")
	require.ErrorIs(t, sh.sleep.unload(), syscall.EBUSY)
	sh.kill("#", o.thread, syscall.SIGINT)
	require.ErrorIs(t, o.err, syscall.EINTR)
	require.EqualError(t, o.err, "open /proc/sleep: "+syscall.EINTR.Error())
	require.Equal(t, 1, sh.sleep.useCount)
	require.NoError(t, f.Close())
	require.NoError(t, sh.sleep.unload(), "it is not immortal")
}

// A signal comes and a close comes, both before the sleeper runs.
func TestFreeFileBeatsASignal(t *testing.T) {
	for name, order := range map[string][2]string{
		"signal first": {"signal", "close"},
		"close first":  {"close", "signal"},
	} {
		t.Run(name, func(t *testing.T) {
			sh, _ := machine(t)
			f, err := sh.open("#", readOnly)
			require.NoError(t, err)
			o := sh.startOpen("#", readOnly)
			for _, step := range order {
				if step == "signal" {
					require.NoError(t, o.thread.Signal(syscall.SIGINT))
				} else {
					require.NoError(t, f.Close())
				}
			}
			sh.wait(o.thread)
			require.NoError(t, o.err)
			require.Equal(t, 1, sh.sleep.useCount)
			require.NoError(t, o.file.Close())
		})
	}
}

func TestPermission(t *testing.T) {
	sh, _ := machine(t)
	holder, err := sh.open("#", readOnly)
	require.NoError(t, err)
	for _, c := range []struct {
		command string
		flags   int
		allowed bool
	}{
		{"#", readOnly, true},
		{"#", writeOnly, true},
		{"#", readWrite, true},
		{"#", 3, false},
		{"$", readOnly, true},
		{"$", writeOnly, false},
		{"$", readWrite, false},
		{"$", 3, false},
	} {
		_, err := sh.open(c.command, c.flags|nonblock)
		if c.allowed {
			require.ErrorIs(t, err, syscall.EAGAIN)
			continue
		}
		require.ErrorIs(t, err, syscall.EACCES)
		_, err = sh.open(c.command, c.flags)
		require.ErrorIs(t, err, syscall.EACCES, "at once, although another process has it open")
		require.Equal(t, 1, sh.sleep.useCount)
	}
	require.NoError(t, holder.Close())

	root := &process{euid: 0}
	require.ErrorIs(t, sh.sleep.permission(root, 1), syscall.EACCES, "no user may execute it")
	mode, links, uid, gid, size := sh.sleep.stat()
	require.Equal(t, []any{fs.FileMode(0o644), 1, 0, 0, 80}, []any{mode, links, uid, gid, size})
}

func TestFileIsOpenForTheRequestedOperations(t *testing.T) {
	sh, _ := machine(t)
	f, err := sh.open("#", writeOnly)
	require.NoError(t, err)
	_, err = f.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.EBADF)
	require.NoError(t, f.Close())
	require.ErrorIs(t, f.Close(), fs.ErrClosed, "it gives one count back, not two")
	require.Zero(t, sh.sleep.useCount)
	_, err = f.Write([]byte("late"))
	require.ErrorIs(t, err, fs.ErrClosed)

	f, err = sh.open("$", readOnly)
	require.NoError(t, err)
	_, err = f.Write([]byte("x"))
	require.ErrorIs(t, err, syscall.EBADF)
	require.NoError(t, f.Close())
}

func TestModuleInUseStays(t *testing.T) {
	sh, _ := machine(t)
	f, err := sh.open("#", readOnly)
	require.NoError(t, err)
	require.ErrorIs(t, sh.sleep.unload(), syscall.EBUSY)
	require.NoError(t, f.Close())
	require.NoError(t, sh.sleep.unload())
	_, err = sh.open("#", readOnly)
	require.ErrorIs(t, err, syscall.ENOENT)
	require.Zero(t, sh.sleep.useCount)
}

// The file is free, but the woken sleeper is inside open until it runs.
func TestWokenSleeperIsCounted(t *testing.T) {
	sh, _ := machine(t)
	f, err := sh.open("#", readOnly)
	require.NoError(t, err)
	o := sh.startOpen("#", readOnly)
	require.NoError(t, f.Close())
	require.False(t, sh.sleep.alreadyOpen)
	require.False(t, o.returned)
	require.ErrorIs(t, sh.sleep.unload(), syscall.EBUSY)
	sh.wait(o.thread)
	require.NoError(t, o.err)
	require.NoError(t, o.file.Close())
	require.NoError(t, sh.sleep.unload())
}

// The message keeps the newline that echo ends it with.
func TestMessageKeepsItsNewline(t *testing.T) {
	sh, out := machine(t)
	sh.run("# cat_nonblock", sh.catNonblock)
	sh.run("# echo hello", sh.write("hello\n"))
	sh.run("# cat_nonblock", sh.catNonblock)
	require.Equal(t, `0 # cat_nonblock
Last input:
kernel: cat_nonblock closes, wake_up
0 # echo hello
kernel: echo closes, wake_up
0 # cat_nonblock
Last input:hello

kernel: cat_nonblock closes, wake_up
`, out.String())
}

// The thundering herd: each close wakes all sleepers, all but one for nothing.
func TestEachCloseWakesAll(t *testing.T) {
	sh, out := machine(t)
	threads := map[string]*kthread.Thread{}
	for _, name := range []string{"A", "B", "C", "D", "E"} {
		threads[name] = sh.start(name, sh.tail)
	}
	for i, name := range []string{"A", "E", "D", "C", "B"} { // the last comes first
		require.Equal(t, "nanosleep", threads[name].Info().Wchan)
		sh.kill("#", threads[name], syscall.SIGTERM)
		require.Equal(t, min(i+1, 4), strings.Count(out.String(), " is woken\n"))
	}
	// 4 sleep, then 3, then 2, then 1: 10 wake-ups, and 6 of them for nothing.
	require.Equal(t, 6, strings.Count(out.String(), " finds it open, sleeps again\n"))
	require.Zero(t, sh.sleep.useCount)
}

// Threads open and close while signals rain on them.
func TestNeverTwoOpeners(t *testing.T) {
	sh, _ := machine(t)
	sh.sleep.log = new(printk.Log)
	inside, opened, interrupted := 0, 0, 0 // guarded by the CPU
	const threads, tries = 8, 200
	var started []*kthread.Thread // guarded by the CPU until all are started
	for range threads {
		thread := sh.start("opener", func(p *process) error {
			for n := range tries {
				if n%2 == 0 && len(started) > 0 {
					_ = started[n%len(started)].Signal(syscall.SIGINT) // it may be gone
				}
				f, err := sh.sleep.open(p, readOnly)
				if err != nil {
					interrupted++
					p.Flush()
				} else {
					opened++
					inside++
					sh.cpu.Sleep(runtime.Gosched)
					if inside != 1 {
						panic("two openers")
					}
					inside--
					_ = f.Close()
				}
				sh.cpu.Sleep(runtime.Gosched)
			}
			return nil
		})
		started = append(started, thread)
	}
	sh.cpu.Sleep(func() {
		for n := range 1000 {
			_ = started[n%threads].Signal(syscall.SIGINT) // it may be gone
			runtime.Gosched()
		}
		for _, thread := range started {
			require.NoError(t, thread.Wait(t.Context()))
		}
	})
	require.Equal(t, threads*tries, opened+interrupted)
	require.NotZero(t, opened)
	require.NotZero(t, interrupted)
	require.Zero(t, sh.sleep.useCount)
	require.False(t, sh.sleep.alreadyOpen)
	t.Log(opened, "opened,", interrupted, "interrupted")
}
