//go:build linux || darwin || freebsd

package main

import (
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/internal/printed"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/waitqueue"
)

//go:embed testdata/transcript.txt
var transcript string

// The test binary is also the program, and a helper that shows its arguments
// and its environment. Its name decides, because a test looks at the rest.
func TestMain(m *testing.M) {
	patience = time.Minute // a helper may wait for long on a busy machine
	switch filepath.Base(os.Args[0]) {
	case "program":
		main()
		os.Exit(0)
	case "helper":
		text := fmt.Sprintf("argv %q\nenv %q\n", os.Args, os.Environ())
		messages := filepath.Join(filepath.Dir(os.Args[0]), "messages")
		if err := os.WriteFile(messages, []byte(text), 0o600); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if _, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
			fmt.Println("a child was left, or not reaped:", err)
			code = 1
		}
		os.Exit(code)
	}))
}

// playing makes the test binary runnable under another name.
func playing(t *testing.T, name string) string {
	self, err := os.Executable()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.Symlink(self, path))
	return path
}

// mask replaces the path of the helper, which is new in each run.
func mask(t *testing.T, text string) string {
	temp, err := filepath.Abs(os.TempDir())
	require.NoError(t, err)
	name := regexp.QuoteMeta(filepath.Join(temp, "kprim-")) + `[0-9]+/helper\b`
	return regexp.MustCompile(name).ReplaceAllLiteralString(text, "/path/to/helper")
}

func requireNothingIn(t *testing.T, dir string) {
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "the helper's directory is removed")
}

func TestTranscriptIsTheArticlesEveryTime(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	runs := 200
	if testing.Short() {
		runs = 20
	}
	for range runs {
		var out strings.Builder
		require.NoError(t, session(t.Context(), &out, nil))
		require.Equal(t, transcript, mask(t, out.String()))
	}
	requireNothingIn(t, temp)
	require.NotContains(t, os.Environ(), "KPRIM_SECRET=hunter2")
}

// The first session of linux/printed.txt has the same messages of the kernel and
// of the helper. Its other lines are commands.
func TestKernelPrintedTheSame(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	linux, err := os.ReadFile("linux/printed.txt")
	require.NoError(t, err)
	want, err := printed.InGo(string(readme), string(linux))
	require.NoError(t, err)
	first := strings.Split(want, "==== ")[1]
	require.Equal(t, messages(first), messages(transcript))
}

func messages(session string) []string {
	return regexp.MustCompile(`(?m)^kernel.*$`).FindAllString(session, -1)
}

// The order is the program's. A shell would sort the variables and add others.
func TestHelperGetsThreeStringsAndItsPath(t *testing.T) {
	path := playing(t, "helper")
	var out strings.Builder
	require.NoError(t, session(t.Context(), &out, []string{path}))
	require.Contains(t, out.String(), fmt.Sprintf("# cat messages\nargv [%q]\nenv %q\n# sort environ\n", path,
		[]string{"HOME=/", "PATH=/sbin:/usr/sbin:/bin:/usr/bin", "TROUBLED_DS=9527"}))
}

// The transcript counts 0 secrets. This shows that the count can be 1.
func TestSecretThatIsThereIsCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "helper")
	leak := "#!/bin/sh\nKPRIM_SECRET=leaked\nexport KPRIM_SECRET\nenv >> \"${0%/*}/environ\"\n"
	require.NoError(t, os.WriteFile(path, []byte(leak), 0o755))
	var out strings.Builder
	require.NoError(t, session(t.Context(), &out, []string{path}))
	require.Contains(t, out.String(), "grep -c ^KPRIM_SECRET= environ\n1\n1\n")
}

func TestVariableWhoseNameIsLongerIsNotCounted(t *testing.T) {
	t.Setenv("KPRIM_SECRET_B", "1")
	var out strings.Builder
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

// A reader like "head -1" leaves early. SIGPIPE does not end the program at
// once.
func TestReaderThatHasGone(t *testing.T) {
	temp := t.TempDir()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	defer w.Close()
	cmd := exec.Command(playing(t, "program"))
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = w, &stderr
	require.Error(t, cmd.Run())
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Regexp(t, `^monitor-and-helper: write .*: broken pipe\n$`, stderr.String())
	requireNothingIn(t, temp)
}

func TestEverybodyReadsTheEntryAndRootWritesIt(t *testing.T) {
	var handler sysctl.Var[string]
	var proc sysctl.Tree
	_, err := proc.Register("kernel", entry(&handler))
	require.NoError(t, err)
	for _, cred := range []sysctl.Cred{sysctl.Root, sysctl.Group, sysctl.Nobody} {
		_, err := proc.ReadFile(cred, entryName)
		require.NoError(t, err)
		err = proc.WriteFile(cred, entryName, []byte("/path\n"))
		if cred == sysctl.Root {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, syscall.EACCES)
		}
	}
}

// The helper appends, and the program shows only the new lines. It does not
// change the mode of a user's file.
func TestOldMessagesStay(t *testing.T) {
	dir := t.TempDir()
	path, messages := filepath.Join(dir, "helper"), filepath.Join(dir, "messages")
	require.NoError(t, os.WriteFile(path, script, 0o755))
	require.NoError(t, os.WriteFile(messages, []byte("an old message\n"), 0o600))
	var out strings.Builder
	require.NoError(t, session(t.Context(), &out, []string{path}))
	want := strings.Replace(transcript, "# chmod +x helper\n", "", 1)
	require.Equal(t, want, strings.ReplaceAll(out.String(), path, "/path/to/helper"))
	text, err := os.ReadFile(messages)
	require.NoError(t, err)
	require.Equal(t, "an old message\nkernel Datastructure 9527 is in trouble\n", string(text))
}

func TestHelpersThatCannotRun(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), mode))
		return path
	}
	program := playing(t, "program")
	for name, c := range map[string]struct {
		arg   string
		wants []string
	}{
		"missing":        {filepath.Join(dir, "none"), []string{"none: no such file or directory"}},
		"not executable": {file("plain", "#!/bin/sh\n", 0o644), []string{"plain: permission denied"}},
		"a directory":    {dir, []string{dir + ": permission denied"}},
		"not a program":  {file("text", "hello", 0o755), []string{"exec format error"}},
		"fails":          {file("fails", "#!/bin/sh\nexit 3\n", 0o755), []string{"/fails[", "]: exit status 3"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := session(t.Context(), &out, []string{c.arg})
			require.Error(t, err)
			require.Contains(t, out.String(), "kernel: josephthread out\n# rmmod test\n", "the thread has ended")

			cmd := exec.Command(program, c.arg)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			require.Error(t, cmd.Run())
			require.Equal(t, 1, cmd.ProcessState.ExitCode())
			for _, want := range c.wants {
				require.Contains(t, stderr.String(), want)
			}
			require.Equal(t, 1, strings.Count(stderr.String(), "\n"), "one line: %s", stderr.String())
		})
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"a", "b"}, {""}, {"-h"}, {"--help"}} {
		var out strings.Builder
		require.ErrorContains(t, session(t.Context(), &out, args), "usage")
		require.Empty(t, out.String())
	}
}

// The entry would cut the path. The program does not run the shorter path.
func TestPathThatIsTooLong(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, strings.Repeat("x", 255-len(dir)-1), "more")
	var out strings.Builder
	err := session(t.Context(), &out, []string{long})
	require.ErrorContains(t, err, "keeps 255 bytes")
	require.True(t, strings.HasSuffix(err.Error(), " "+long[:255]))
	require.NotContains(t, out.String(), "insmod")
}

// Ctrl-C, kill and the end of the terminal each end a helper that hangs. No
// process and no file is left.
func TestInterruptedProgramLeavesNothing(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			dir := t.TempDir()
			path, fifo := filepath.Join(dir, "hangs"), filepath.Join(dir, "fifo")
			require.NoError(t, syscall.Mkfifo(fifo, 0o600))
			require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\nexec > \"${0%/*}/fifo\"\nsleep 1000\n"), 0o755))
			cmd := exec.Command(playing(t, "program"), path)
			require.NoError(t, cmd.Start())
			f, err := os.Open(fifo) // the helper runs
			require.NoError(t, err)
			defer f.Close()
			require.NoError(t, cmd.Process.Signal(sig))
			require.Error(t, cmd.Wait())
			require.Equal(t, 1, cmd.ProcessState.ExitCode())
			_, err = io.ReadAll(f) // ends when helper and sleep are gone
			require.NoError(t, err)
		})
	}
}

// The kernel takes an empty path for nothing to do. The program says that no
// handler is registered.
func TestNoHandler(t *testing.T) {
	var out strings.Builder
	m := newModule(t.Context(), &out, new(sysctl.Var[string]))
	m.load()
	require.ErrorContains(t, m.settle(), "no handler")
	m.unload()
}

func TestProgramSucceeds(t *testing.T) {
	out, err := exec.Command(playing(t, "program")).Output()
	require.NoError(t, err)
	require.Equal(t, transcript, mask(t, string(out)))
}

// The article's loop ends at SIGKILL too.
func TestThreadIsKilledBeforeTheEvent(t *testing.T) {
	var out strings.Builder
	m := newModule(t.Context(), &out, new(sysctl.Var[string]))
	thread := kthread.Run("josephthread", m.mykthread)
	m.threads = append(m.threads, thread)
	for gone := false; !gone; { // it may not have allowed the signal yet
		_ = thread.Signal(syscall.SIGKILL)
		select {
		case <-thread.Done():
			gone = true
		default:
			runtime.Gosched()
		}
	}
	require.ErrorContains(t, m.settle(), "killed")
	m.unload()
	require.Contains(t, out.String(), "kernel: josephthread out\n")
}

// A watcher is a console that calls a function for each line.
type watcher func(line string)

func (w watcher) Write(line []byte) (int, error) {
	w(string(line))
	return len(line), nil
}

// Otherwise an event would end the sleep of the helper's start.
func TestThreadRunsAndIsOffItsQueueWhenTheHelperIsStarted(t *testing.T) {
	var m *module
	state, queued := waitqueue.Dead, true
	m = newModule(t.Context(), watcher(func(line string) {
		if strings.Contains(line, "is starting") {
			state = m.threads[0].Info().State
			queued = m.myevent.WaitQueue().Active()
		}
	}), new(sysctl.Var[string]))
	m.load()
	require.ErrorContains(t, m.settle(), "no handler")
	require.Equal(t, waitqueue.Running, state)
	require.False(t, queued)
}

// The wake-up reaches mykthread first, and then a wake function that is slow.
func TestMonitorRunsOnWhenItHasWoken(t *testing.T) {
	for range 100 {
		var lines []string
		m := newModule(t.Context(), watcher(func(line string) { lines = append(lines, line) }), new(sysctl.Var[string]))
		late := &waitqueue.Entry{Func: func(*waitqueue.Entry, waitqueue.State, any) int {
			for range 1000 {
				runtime.Gosched()
			}
			return 0
		}}
		m.myevent.WaitQueue().Add(late)
		m.load()
		require.ErrorContains(t, m.settle(), "no handler")
		m.myevent.WaitQueue().Remove(late)
		require.Equal(t, []string{"kernel: monitor out\n", "kernel: run_umode_handler is starting...\n"}, lines[3:5])
	}
}

// The article's loop, and a monitor that is quicker than the loop.
func TestTheOriginalLoopSleepsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var myevent rwevent.Slot[uint]
		require.NoError(t, myevent.Post(9527))
		thread := kthread.Run("josephthread", func(cur *kthread.Current) error {
			wait := waitqueue.Entry{Task: cur.Task()}
			if err := cur.Allow(syscall.SIGKILL); err != nil {
				return err
			}
			myevent.WaitQueue().Add(&wait)
			defer myevent.WaitQueue().Remove(&wait)
			for {
				cur.Task().SetState(waitqueue.Interruptible)
				cur.Task().Schedule()
				if cur.Interrupted() {
					return syscall.EINTR
				}
				if _, ok := myevent.TryTake(); ok {
					return nil
				}
			}
		})
		synctest.Wait()
		require.Equal(t, waitqueue.Interruptible, thread.Info().State)
		id, _, ok := myevent.Load()
		require.True(t, ok)
		require.EqualValues(t, 9527, id)
		require.NoError(t, thread.Signal(syscall.SIGKILL))
		require.ErrorIs(t, thread.Wait(t.Context()), syscall.EINTR)
	})
}

// The second exercise of the README.
func TestBlanksInTheVariable(t *testing.T) {
	cmd := exec.Command("/bin/sh", "-c", `echo "kernel Datastructure $TROUBLED_DS is in trouble"`)
	cmd.Env = []string{"TROUBLED_DS = 9527"}
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Equal(t, "kernel Datastructure  is in trouble\n", string(out))
}

// No thread may run the module's code after the unload.
func TestUnloadStopsAThreadThatSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		m := newModule(t.Context(), &out, new(sysctl.Var[string]))
		m.threads = append(m.threads, kthread.Run("josephthread", m.mykthread))
		synctest.Wait()
		require.Equal(t, waitqueue.Interruptible, m.threads[0].Info().State)
		m.unload()
		require.Equal(t, waitqueue.Dead, m.threads[0].Info().State)
		require.Equal(t, "kernel: josephthread out\nkernel: bye, my dear!\nkernel:  cruel world\n", out.String())
	})
}
