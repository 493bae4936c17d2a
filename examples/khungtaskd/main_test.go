//go:build linux || darwin || freebsd

package main

import (
	"bufio"
	"flag"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/printk"
)

var update = flag.Bool("update", false, "write the blocks of the README")

// The test binary is the program too.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "khungtaskd" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// program returns a path of the test binary with the name of the program.
func program(t *testing.T) string {
	self, err := os.Executable()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "khungtaskd")
	require.NoError(t, os.Symlink(self, path))
	return path
}

func transcript(t *testing.T) string {
	text, err := os.ReadFile("testdata/transcript.txt")
	require.NoError(t, err)
	return string(text)
}

// mask replaces the path of each helper by the same one.
func mask(text string) string {
	return regexp.MustCompile(`/\S*/khungtaskd-[0-9]+/helper\b`).ReplaceAllLiteralString(text, "/path/to/helper")
}

func TestProgramPrintsTheTranscriptEveryTime(t *testing.T) {
	program := program(t)
	var all sync.WaitGroup
	defer all.Wait()
	for range 3 {
		temp := t.TempDir()
		all.Go(func() {
			cmd := exec.Command(program)
			cmd.Env = append(os.Environ(), "TMPDIR="+temp)
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			assert.NoError(t, err)
			assert.Equal(t, transcript(t), mask(string(out)))
			left, err := os.ReadDir(temp)
			assert.NoError(t, err)
			assert.Empty(t, left)
		})
	}
}

// Ctrl-C, kill and the end of the terminal end the program early. It leaves no file.
func TestInterruptedProgramLeavesNothing(t *testing.T) {
	program := program(t)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			want := "khungtaskd: waitqueue: wait interrupted: " + sig.String() + " signal received\n"
			for stderr := ""; stderr == ""; { // a program that ended before the signal says nothing
				stderr = interrupted(t, program, sig)
				require.Contains(t, []string{"", want}, stderr)
			}
		})
	}
}

// interrupted sends sig to a program that watches a thread, and returns its error text.
func interrupted(t *testing.T, program string, sig syscall.Signal) string {
	temp := t.TempDir()
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for range 3 { // flushd writes
		require.True(t, lines.Scan())
	}
	_ = cmd.Process.Signal(sig) // it may have ended
	for lines.Scan() {
	}
	err = cmd.Wait()
	require.Equal(t, stderr.Len() == 0, err == nil, "error %v and text %q", err, stderr.String())
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
	return stderr.String()
}

// A reader that leaves, as head does, ends the program early. It leaves no file either.
func TestReaderThatLeaves(t *testing.T) {
	temp := t.TempDir()
	cmd := exec.Command(program(t))
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	require.True(t, bufio.NewScanner(out).Scan())
	require.NoError(t, out.Close())
	_ = cmd.Wait()
	require.True(t, cmd.ProcessState.Exited(), cmd.ProcessState) // not by the signal
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
}

// With a directory as its argument, the program leaves the trace there. The helper runs in
// another directory, and finds the trace too.
func TestTraceStaysInTheDirectory(t *testing.T) {
	dir, want := t.TempDir(), transcript(t)
	t.Chdir(dir)
	var out strings.Builder
	require.NoError(t, session(t.Context(), &out, []string{"."}))
	pid := regexp.MustCompile(`flushd:\d+`)
	require.Equal(t, pid.ReplaceAllString(want, "flushd"), pid.ReplaceAllString(mask(out.String()), "flushd"))
	task := regexp.MustCompile(`task flushd:(\d+) blocked`).FindStringSubmatch(out.String())
	require.NotNil(t, task, out.String())
	text, err := os.ReadFile(filepath.Join(dir, "hung-"+task[1]+".ftrace"))
	require.NoError(t, err)
	require.Contains(t, string(text), "prev_comm=flushd prev_pid="+task[1]+" prev_prio=120 prev_state=D ")
}

// A helper that fails or does not exist ends no thread.
func TestHelpersThatFail(t *testing.T) {
	three := filepath.Join(t.TempDir(), "three")
	require.NoError(t, os.WriteFile(three, []byte("#!/bin/sh\nexit 3\n"), 0o755))
	for path, want := range map[string]string{
		"":             "", // there is no helper
		"/bin/sh":      "", // it has no input
		three:          "> hung_notifier: helper has failed status=\"exit status 3\" error=<nil>\n",
		"/none/helper": "> hung_notifier: helper has failed status=\"exit status 0\" error=\".*no such file or directory\"\n",
		"/":            "> hung_notifier: helper has failed status=\"exit status 0\" error=\".*permission denied\"\n",
	} {
		log := &printk.Log{Mark: "> "}
		w, err := newWatchdog(slog.New(log), t.TempDir())
		require.NoError(t, err)
		w.helper.Store(path)
		notifier := kthread.Run("hung_notifier", w.notify)
		require.NoError(t, w.hung.Post(1, report{}))
		require.NoError(t, w.notified.Wait(t.Context()))
		require.NoError(t, notifier.Stop())
		var text strings.Builder
		_, _ = log.WriteTo(&text)
		require.Regexp(t, "^"+want+"$", text.String())
	}
}

// The blocks of the README are the transcript, and lines of the code.
func TestReadmeShowsTheTranscriptAndTheCode(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	code := ""
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		code += string(text)
	}
	blocks := strings.Split(string(readme), "```")
	require.Len(t, blocks, 2*2+1)
	blocks[1], blocks[3] = "console\n"+transcript(t), "text\n"+pictureOfTheHang(t)
	want := strings.Join(blocks, "```")
	if *update {
		require.NoError(t, os.WriteFile("README.md", []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(readme), "go test ./examples/khungtaskd -update writes the blocks")
	rows := regexp.MustCompile("(?m)^\\| .* \\| `(.*)` \\|$").FindAllStringSubmatch(string(readme), -1)
	require.Len(t, rows, 7)
	for _, row := range rows {
		require.Contains(t, code, row[1])
	}
}
