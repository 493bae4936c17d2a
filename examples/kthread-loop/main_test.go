//go:build linux || darwin || freebsd

package main

import (
	"bytes"
	"context"
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

	"github.com/kprim/kprim/examples/internal/printk"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/waitqueue"
)

//go:embed testdata/transcript.txt
var transcript string

// The test binary is the program too, with a script in place of helper.sh if
// one is named after -n, and a helper that shows what it was given.
func TestMain(m *testing.M) {
	patience = time.Minute // on a busy machine a helper may wait for long
	switch filepath.Base(os.Args[0]) {
	case "program":
		if len(os.Args) > 2 {
			var err error
			if script, err = os.ReadFile(os.Args[2]); err != nil {
				os.Exit(2)
			}
			os.Args = os.Args[:2]
		}
		main()
		os.Exit(0)
	case "helper":
		text := fmt.Sprintf("argv %q\nenv %q\n", os.Args, os.Environ())
		seen := filepath.Join(filepath.Dir(os.Args[0]), "seen")
		if err := os.WriteFile(seen, []byte(text), 0o600); err != nil {
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

// file makes an executable script, which finds its own directory in $dir.
func file(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "script")
	text = "#!/bin/sh\ndir=${0%/*}\n" + text + "\n"
	require.NoError(t, os.WriteFile(path, []byte(text), 0o755))
	return path
}

// mask makes one path of those that the program's helper has had.
func mask(t *testing.T, text string) string {
	temp, err := filepath.Abs(os.TempDir())
	require.NoError(t, err)
	name := regexp.QuoteMeta(filepath.Join(temp, "kthread-loop-")) + `[0-9]+/helper\b`
	return regexp.MustCompile(name).ReplaceAllLiteralString(text, "/path/to/helper")
}

func requireNothingIn(t *testing.T, dir string) {
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "the helper's directory is removed")
}

func TestTranscriptIsTheSameEveryTime(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	runs := 200
	if testing.Short() {
		runs = 20
	}
	for range runs {
		var out strings.Builder
		require.NoError(t, session(t.Context(), &out, []string{"-n"}))
		require.Equal(t, transcript, mask(t, out.String()))
		require.Empty(t, kthread.Tasks())
	}
	requireNothingIn(t, temp)
}

// Without -n too, but not where somebody would get mail from a test.
func TestProgramSucceeds(t *testing.T) {
	program := playing(t, "program")
	ways := [][]string{{"-n"}, {}}
	for _, dir := range strings.Split("/sbin:/usr/sbin:/bin:/usr/bin", ":") {
		if _, err := os.Stat(filepath.Join(dir, "mail")); err == nil {
			ways = ways[:1]
		}
	}
	for _, args := range ways {
		out, err := exec.Command(program, args...).Output()
		require.NoError(t, err)
		require.Equal(t, transcript, mask(t, string(out)))
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{""}, {"-h"}, {"-n", "-n"}, {"/path/to/helper"}} {
		var out strings.Builder
		require.ErrorContains(t, session(t.Context(), &out, args), "usage")
		require.Empty(t, out.String())
	}
}

// mailing installs helper.sh, and a program mail that is the given script, and
// returns their directories.
func mailing(t *testing.T, noMail bool, mail string) (dir, bin string) {
	t.Setenv("TMPDIR", t.TempDir())
	path, err := installHelper(noMail)
	require.NoError(t, err)
	bin = t.TempDir()
	if mail != "" {
		require.NoError(t, os.WriteFile(filepath.Join(bin, "mail"), []byte("#!/bin/sh\n"+mail), 0o755))
	}
	return filepath.Dir(path), bin
}

// text returns what is in a file, nothing if there is none.
func text(t *testing.T, dir, name string) string {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	return string(text)
}

// The program that PATH finds, and no other, is given the alert. A copy is kept
// in any case, and the status is the mail's.
func TestHelperMails(t *testing.T) {
	const alert = "kernel datastructure 9527 is in trouble\n"
	const mail = `echo "$@" >> "${0%/*}/args"; while read -r line; do echo "$line" >> "${0%/*}/text"; done`
	for name, c := range map[string]struct {
		noMail     bool
		mail       string
		exit       int
		args, text string
	}{
		"a mail program":         {false, mail, 0, "-s Alert root\n", alert},
		"none":                   {false, "", 0, "", ""},
		"one, but told not to":   {true, mail, 0, "", ""},
		"one that fails":         {false, mail + "; exit 75", 75, "-s Alert root\n", alert},
		"one that does not read": {false, "exit 1", 1, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir, bin := mailing(t, c.noMail, c.mail)
			for range 2 {
				cmd := exec.Command(filepath.Join(dir, "helper"))
				cmd.Env = []string{"HOME=/", "PATH=" + bin, "TROUBLED_DS=9527"}
				_ = cmd.Run()
				require.Equal(t, c.exit, cmd.ProcessState.ExitCode())
			}
			require.Equal(t, strings.Repeat(c.args, 2), text(t, bin, "args"))
			require.Equal(t, strings.Repeat(c.text, 2), text(t, bin, "text"))
			require.Equal(t, strings.Repeat(alert, 2), text(t, dir, "mailbox"))
		})
	}
}

func TestHelperThatCannotWriteItsMailbox(t *testing.T) {
	dir, _ := mailing(t, false, "")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "mailbox"), 0o700))
	cmd := exec.Command(filepath.Join(dir, "helper"))
	cmd.Env = []string{"HOME=/", "PATH=/none", "TROUBLED_DS=9527"}
	require.Error(t, cmd.Run())
}

// A mail program that hangs is ended with the helper, and the alert has failed.
// On a busy machine that may be before there is a copy.
func TestMailProgramThatHangs(t *testing.T) {
	dir, bin := mailing(t, false, "exec > \"${0%/*}/fifo\"\nsleep 1000")
	pipe := fifo(t, filepath.Join(bin, "mail"))
	b := loaded(t, file(t, fmt.Sprintf("PATH='%s':$PATH exec '%s/helper'", bin, dir)))
	b.timeout = 300 * time.Millisecond
	f, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	require.NoError(t, err)
	defer f.Close()
	b.trouble(t, 9527, 596)
	b.settle()
	_, err = io.ReadAll(f) // ends only when all are gone
	require.NoError(t, err)
	require.Regexp(t, "9527: .*deadline exceeded\n", b.kill(t))
	require.Equal(t, 1, b.failed)
}

// A bench is a module with a handler, and a console that never waits.
type bench struct {
	*module
	console strings.Builder // read it when the thread is gone
}

func loaded(t *testing.T, handler string) *bench {
	b := &bench{}
	b.module = newModule(t.Context(), &b.console, new(sysctl.Var[string]))
	b.handler.Store(handler)
	b.load()
	t.Cleanup(func() { _ = b.thread.Stop() })
	b.settle()
	return b
}

// trouble finds trouble in a data structure.
func (b *bench) trouble(t *testing.T, id uint, free int) {
	require.True(t, b.receive(&buffer{id, lowWatermark}, lowWatermark-free))
}

// kill lets the thread serve what is there, kills it, and returns what the
// kernel has printed.
func (b *bench) kill(t *testing.T) string {
	b.settle()
	require.NoError(t, b.thread.Signal(syscall.SIGKILL))
	require.NoError(t, b.thread.Wait(t.Context()))
	require.Empty(t, kthread.Tasks())
	return b.console.String()
}

func TestKilledBeforeAnyEvent(t *testing.T) {
	for range 100 {
		b := loaded(t, "/none")
		require.Equal(t, "kernel: mykthread: signal_pending\n", b.kill(t))
		require.ErrorIs(t, b.thread.Signal(syscall.SIGKILL), syscall.ESRCH)
	}
}

// An event beats a signal: nothing that was posted before the kill is lost.
func TestKilledWithAnEventInTheTable(t *testing.T) {
	b := loaded(t, "/none")
	hold := newGate()
	b.Log = printk.New(hold)
	b.trouble(t, 1, 10)
	hold.wait() // it has taken the event of 1
	b.trouble(t, 2, 20)
	require.NoError(t, b.thread.Signal(syscall.SIGKILL))
	hold.open()
	require.NoError(t, b.thread.Wait(t.Context()))
	require.Equal(t, 2, b.failed)
}

// A gate stops those who pass until it is opened.
type gate struct{ arrived, opened chan struct{} }

func newGate() gate  { return gate{make(chan struct{}), make(chan struct{})} }
func (g gate) wait() { <-g.arrived }
func (g gate) open() { close(g.opened) }

// Write makes it a console.
func (g gate) Write(line []byte) (int, error) {
	select {
	case g.arrived <- struct{}{}:
		<-g.opened
	case <-g.opened:
	}
	return len(line), nil
}

func TestWatermark(t *testing.T) {
	b := loaded(t, "/none")
	rx := &buffer{id: 1, free: lowWatermark + 1}
	require.False(t, b.receive(rx, 1), "not yet below it")
	require.True(t, b.receive(rx, 1))
	require.Equal(t, lowWatermark-1, rx.free)
	require.Contains(t, b.kill(t), fmt.Sprintf("1 has %d bytes free\n", lowWatermark-1))
}

func TestHelperGetsThreeStringsAndItsPath(t *testing.T) {
	t.Setenv("KPRIM_SECRET", "hunter2")
	path := playing(t, "helper")
	b := loaded(t, path)
	b.trouble(t, 9527, 1)
	require.Contains(t, b.kill(t), "9527 is served\n")
	text, err := os.ReadFile(filepath.Join(filepath.Dir(path), "seen"))
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("argv [%q]\nenv %q\n", path,
		[]string{"HOME=/", "PATH=/sbin:/usr/sbin:/bin:/usr/bin", "TROUBLED_DS=9527"}), string(text))
}

// What goes wrong with one alert is printed, and the next is sent.
func TestThreadServesOnAfterAHelperThatFails(t *testing.T) {
	dir := t.TempDir()
	plain, noProgram := filepath.Join(dir, "plain"), filepath.Join(dir, "text")
	require.NoError(t, os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o644))
	require.NoError(t, os.WriteFile(noProgram, []byte("hello"), 0o755))
	for name, c := range map[string]struct{ path, want string }{
		"not registered": {"", "invalid argument"},
		"relative":       {"helper", "invalid argument"},
		"missing":        {filepath.Join(dir, "none"), "9527: no such file or directory"},
		"not executable": {plain, "9527: permission denied"},
		"a directory":    {dir, "9527: permission denied"},
		"not a program":  {noProgram, "exec format error"},
		"fails":          {file(t, "exit 3"), "exit status 3"},
		"dies":           {file(t, "kill -KILL $$"), "signal: killed"},
	} {
		t.Run(name, func(t *testing.T) {
			b := loaded(t, c.path)
			b.trouble(t, 9527, 596)
			b.settle()
			b.handler.Store("/bin/sh") // with no input it ends at once
			b.trouble(t, 4711, 396)
			lines := strings.Split(b.kill(t), "\n")
			require.Len(t, lines, 6)
			require.Equal(t, "kernel: mykthread: 9527 has 596 bytes free", lines[0])
			require.Regexp(t, "^kernel: mykthread: .*"+regexp.QuoteMeta(c.want)+"$", lines[1])
			require.Equal(t, "kernel: mykthread: 4711 is served", lines[3])
			require.Equal(t, []int{1, 1}, []int{b.failed, b.served})
		})
	}
}

// fifo makes a pipe that a script knows as "$dir/fifo".
func fifo(t *testing.T, script string) string {
	path := filepath.Join(filepath.Dir(script), "fifo")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	return path
}

// The helper, and what it has started, are ended when its time is over: on a
// busy machine that may be before it has done anything.
func TestThreadServesOnAfterAHelperThatHangs(t *testing.T) {
	path := file(t, `exec > "$dir/fifo"`+"\nsleep 1000")
	pipe := fifo(t, path)
	b := loaded(t, "/bin/sh")
	b.timeout = 300 * time.Millisecond
	b.handler.Store(path)
	f, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	require.NoError(t, err)
	defer f.Close()
	b.trouble(t, 9527, 596)
	b.settle()
	_, err = io.ReadAll(f) // ends only when helper and sleep are gone
	require.NoError(t, err)
	b.handler.Store("/bin/sh")
	b.trouble(t, 4711, 396)
	text := b.kill(t)
	require.Regexp(t, "9527: .*deadline exceeded\n", text)
	require.Contains(t, text, "4711 is served\n")
}

// The article's loop is not in its queue while the helper runs.
func TestPostedWhileTheHelperRuns(t *testing.T) {
	path := file(t, `echo $TROUBLED_DS >> "$dir/ids"
if mkdir "$dir/first"; then read go < "$dir/fifo"; fi`)
	pipe := fifo(t, path)
	b := loaded(t, path)
	b.timeout = time.Minute
	b.trouble(t, 1, 10)
	f, err := os.OpenFile(pipe, os.O_WRONLY, 0) // the helper runs, and waits for us
	require.NoError(t, err)
	b.trouble(t, 2, 20)
	b.trouble(t, 3, 30)
	b.trouble(t, 1, 9) // a new event: the old one was taken
	b.trouble(t, 2, 19)
	require.Equal(t, 3, b.myevent.Len(), "the thread is busy")
	_, err = f.WriteString("go\n")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	text := b.kill(t)
	require.Equal(t, 4, b.served, text)
	require.EqualValues(t, 1, b.myevent.Overwritten())
	ids, err := os.ReadFile(filepath.Join(filepath.Dir(path), "ids"))
	require.NoError(t, err)
	require.Equal(t, "1\n2\n3\n1\n", string(ids), "in the order of the first posts")
	require.Contains(t, text, "2 has 19 bytes free\n", "the latest is what is the case")
}

// The session ends in order with every alert lost, and says so.
func TestSessionWithAHelperThatFails(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	defer func(before []byte) { script = before }(script)
	script = append(script, "exit 3\n"...)
	var out strings.Builder
	require.ErrorContains(t, session(t.Context(), &out, []string{"-n"}), "2 alerts were not sent")
	require.Contains(t, out.String(), "posted 4: served 0, failed 3, coalesced 1\n# cat mailbox\n"+
		"kernel datastructure 9527 is in trouble\nkernel datastructure 4711 is in trouble\n")
	require.Equal(t, 2, strings.Count(out.String(), ": exit status 3\n"))
	require.Empty(t, kthread.Tasks())
	requireNothingIn(t, temp)
}

// A machine whose mail fails: the alerts fail too, and the copies are there.
func TestSessionWhereMailFails(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "mail"), []byte("#!/bin/sh\nexit 75\n"), 0o755))
	defer func(before []byte) { script = before }(script)
	script = bytes.Replace(script, []byte("\n"), []byte("\nPATH='"+bin+"'\n"), 1)
	var out strings.Builder
	require.ErrorContains(t, session(t.Context(), &out, nil), "2 alerts were not sent")
	require.Contains(t, out.String(), "posted 4: served 0, failed 3, coalesced 1\n# cat mailbox\n"+
		"kernel datastructure 9527 is in trouble\nkernel datastructure 4711 is in trouble\n")
	require.Equal(t, 2, strings.Count(out.String(), ": exit status 75\n"))

	out.Reset()
	require.NoError(t, session(t.Context(), &out, []string{"-n"}))
	require.Equal(t, transcript, mask(t, out.String()))
}

func TestRelativeDirectoryOfTemporaryFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("a b", 0o700))
	t.Setenv("TMPDIR", "a b")
	var out strings.Builder
	require.NoError(t, session(t.Context(), &out, []string{"-n"}))
	require.Equal(t, transcript, mask(t, out.String()))
}

// A full is a screen that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestOutputThatCannotBeWritten(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	require.ErrorIs(t, session(t.Context(), full{}, []string{"-n"}), syscall.ENOSPC)
	require.Empty(t, kthread.Tasks())
	requireNothingIn(t, temp)
}

// As with "| head -1": the signal of the pipe does not end the program at once.
func TestReaderThatHasGone(t *testing.T) {
	temp := t.TempDir()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	defer w.Close()
	cmd := exec.Command(playing(t, "program"), "-n")
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = w, &stderr
	require.Error(t, cmd.Run())
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Regexp(t, `^kthread-loop: write .*: broken pipe\n$`, stderr.String())
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

// vandal is a screen that spoils the helper when the session is about to test
// it, and the thread sleeps.
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

// A session that gives up has a thread that will print when it is stopped, on a
// console that nobody reads any more.
func TestSessionThatGivesUp(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	ended := make(chan error, 1)
	go func() { ended <- session(t.Context(), vandal{temp}, []string{"-n"}) }()
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

// Where there is no room for a helper's path that is right, none is run.
func TestPathThatIsTooLong(t *testing.T) {
	temp := t.TempDir()
	long := filepath.Join(temp, strings.Repeat("x", 255-len(temp)-1))
	require.NoError(t, os.Mkdir(long, 0o700))
	t.Setenv("TMPDIR", long)
	var out strings.Builder
	err := session(t.Context(), &out, []string{"-n"})
	require.ErrorContains(t, err, "keeps 255 bytes of the path: "+long)
	require.Empty(t, out.String())
	requireNothingIn(t, long)
}

// The longest directory in which the session runs: one slash more is one too
// many.
func TestPathThatFits(t *testing.T) {
	temp := t.TempDir()
	// MkdirTemp's numbers have ten digits at most, and seldom fewer than nine.
	name := strings.Repeat("x", 255-len("/helper")-len("/kthread-loop-1234567890")-len(temp)-1)
	long := filepath.Join(temp, name)
	require.NoError(t, os.Mkdir(long, 0o700))
	t.Setenv("TMPDIR", long)
	var out strings.Builder
	require.NoError(t, session(t.Context(), &out, []string{"-n"}))
	require.Equal(t, transcript, mask(t, out.String()))
}

// Ctrl-C, kill, or the end of the terminal ends a helper that hangs, and all is
// tidied up.
func TestInterruptedProgramLeavesNothing(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			temp := t.TempDir()
			pipe := filepath.Join(t.TempDir(), "fifo")
			require.NoError(t, syscall.Mkfifo(pipe, 0o600))
			cmd := exec.Command(playing(t, "program"), "-n", file(t, "exec > '"+pipe+"'\nsleep 1000"))
			cmd.Env = append(os.Environ(), "TMPDIR="+temp)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			require.NoError(t, cmd.Start())
			f, err := os.Open(pipe) // the helper runs
			require.NoError(t, err)
			defer f.Close()
			require.NoError(t, cmd.Process.Signal(sig))
			require.Error(t, cmd.Wait())
			require.Equal(t, 1, cmd.ProcessState.ExitCode())
			require.Equal(t, "kthread-loop: 2 alerts were not sent\n", stderr.String())
			require.Equal(t, 1, strings.Count(stdout.String(), ": no such file or directory\n"), stdout.String())
			require.Equal(t, 2, strings.Count(stdout.String(), sig.String()+" signal received\n"), stdout.String())
			_, err = io.ReadAll(f) // ends only when helper and sleep are gone
			require.NoError(t, err)
			requireNothingIn(t, temp)
		})
	}
}

// The article's own loop. While it serves 2, of which 1 was overwritten, 3 is
// posted; nobody comes for 3, until a wake-up that means nothing. The next such
// serves 3 again.
func TestTheOriginalLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var queue waitqueue.Queue
		var myevent int // guarded by the bubble: one goroutine runs at a time
		var handled []int
		post := func(id int) {
			myevent = id
			queue.WakeUpInterruptible()
		}
		handler := func(id int) {
			handled = append(handled, id)
			if id == 2 {
				post(3) // while the helper runs
			}
		}
		thread := kthread.Run("mykthread", func(cur *kthread.Current) error {
			wait := waitqueue.Entry{Task: cur.Task()}
			if err := cur.Allow(syscall.SIGKILL); err != nil {
				return err
			}
			queue.Add(&wait)
			defer queue.Remove(&wait)
			for {
				cur.Task().SetState(waitqueue.Interruptible)
				cur.Task().Schedule()
				if cur.Interrupted() {
					return nil
				}
				if myevent != 0 {
					handler(myevent)
				}
			}
		})
		synctest.Wait()
		myevent = 1
		post(2)
		synctest.Wait()
		require.Equal(t, []int{2}, handled, "1 is lost, and 3 not noticed")
		queue.WakeUp()
		synctest.Wait()
		queue.WakeUp()
		synctest.Wait()
		require.Equal(t, []int{2, 3, 3}, handled)
		require.NoError(t, thread.Signal(syscall.SIGKILL))
		require.NoError(t, thread.Wait(context.Background()))
	})
}

// The blanks of the article's sprintf make another name of the variable.
func TestBlanksInTheVariable(t *testing.T) {
	cmd := exec.Command("/bin/sh", "-c", "echo kernel datastructure $TROUBLED_DS is in trouble")
	cmd.Env = []string{"TROUBLED_DS = 9527"}
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Equal(t, "kernel datastructure is in trouble\n", string(out))
}
