//go:build !(386 || arm || mips || mipsle)

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
)

func mounted(t *testing.T, dir string) bool {
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(dir))
	require.NoError(t, err)
	return len(mounts) > 0
}

func TestSignalsEndItInOrder(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		p, dir := served(t)
		out, code := bash(t, "cat "+dir+"/sleep")
		require.Zero(t, code)
		require.Equal(t, "Last input:\n", out)
		require.NoError(t, p.Process.Signal(signal))
		require.Zero(t, p.Wait(t), p.Out.String())
		require.NoDirExists(t, dir, "it has made the directory, so it removes it")
		helper := filepath.Join("TMP", "helper")
		lines := p.lines()
		lines[2] = regexp.MustCompile(`/\S*/helper$`).ReplaceAllString(lines[2], helper)
		require.Equal(t, []string{
			"0 serving " + dir,
			"0 Hello, I am a test module",
			"0 myevent_handler is " + helper,
			"0 create mythread <---------<",
			"1 cat (N): has the file",
			"1 cat (N): closes the file",
			"0 mykthread: out, kthread_should_stop 1",
			"0 bye, my dear! cruel world",
			"0 /sleep: 1 opens, 1 releases",
		}, lines)
	}
}

// If SIGPIPE killed the program, its mount would stay.
func TestAReaderOfTheLinesThatGoesEndsIt(t *testing.T) {
	needFUSE(t)
	dir := filepath.Join(t.TempDir(), "procfs-demo")
	r, w, err := os.Pipe()
	require.NoError(t, err)
	cmd, temp := demoCmd(t, dir)
	cmd.Stdout = w
	noMountAtTheEnd(t, dir)
	p := start(t, cmd)
	require.NoError(t, w.Close())
	processes.Eventually(t, "it serves", func() bool { _, err := os.Stat(dir + "/sleep"); return err == nil })
	require.NoError(t, r.Close())
	bash(t, "cat "+dir+"/sleep; echo 1 > "+dir+"/kernel/myevent_id")
	require.Zero(t, p.Wait(t))
	require.NoDirExists(t, dir)
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestADirectoryThatWasThereStays(t *testing.T) {
	needFUSE(t)
	dir := t.TempDir()
	p := servedAt(t, dir)
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.Zero(t, p.Wait(t))
	require.DirExists(t, dir)
	require.False(t, mounted(t, dir))
}

func TestSleepersGetAnErrorWhenItEnds(t *testing.T) {
	p, dir := served(t)
	_, sleeper := holders(t, p, dir)
	require.NoError(t, p.Process.Signal(syscall.SIGINT))
	require.Zero(t, p.Wait(t))
	require.Equal(t, 1, sleeper.Wait(t))
	require.Contains(t, sleeper.Out.String(), "Cannot send after transport endpoint shutdown")
	require.Contains(t, p.Out.String(), "gives up: interrupted system call")
	require.Contains(t, p.Out.String(), "\n0 /sleep: 1 opens, 1 releases\n")
}

// holders starts a process that holds the file, and another that sleeps in open.
func holders(t *testing.T, p *process, dir string) (holder, sleeper *process) {
	holder = start(t, command("tail", "-f", dir+"/sleep"))
	p.waitFor(t, "has the file")
	sleeper = start(t, command("cat", dir+"/sleep"))
	p.waitFor(t, "sleeps in open")
	processes.Eventually(t, "cat sleeps", func() bool { return processes.State(sleeper.Process.Pid) == "S" })
	return holder, sleeper
}

func TestAnUnmountByAnotherEndsIt(t *testing.T) {
	needRoot(t)
	p, dir := served(t)
	out, code := bash(t, "umount "+dir)
	require.Zero(t, code, out)
	require.Zero(t, p.Wait(t))
	require.Contains(t, p.Out.String(), "\n0 somebody else has unmounted "+dir+"\n")
	require.Contains(t, p.Out.String(), "bye, my dear!")
	require.NoDirExists(t, dir)
}

func TestTheMountOfAKilledProgramIsReplaced(t *testing.T) {
	p, dir := served(t)
	holder, sleeper := holders(t, p, dir)
	require.NoError(t, p.Process.Kill())
	require.Equal(t, -int(syscall.SIGKILL), p.Wait(t))
	require.Equal(t, 1, sleeper.Wait(t), "cat has got an error")
	_, err := os.Stat(dir)
	require.ErrorIs(t, err, syscall.ENOTCONN)

	next := servedAt(t, dir)
	_ = holder.Process.Kill() // it may have ended because its file is dead
	out, code := bash(t, "cat "+dir+"/sleep")
	require.Zero(t, code, out)
	require.NoError(t, next.Process.Signal(syscall.SIGTERM))
	require.Zero(t, next.Wait(t))
	require.False(t, mounted(t, dir))
	require.DirExists(t, dir, "the killed program has made it")
}

func TestLinesDoNotMix(t *testing.T) {
	p, dir := served(t)
	_, code := bash(t, "cd "+dir+"; for i in {1..40}; do cat sleep & echo $i > kernel/myevent_handler & done; wait")
	require.Zero(t, code)
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.Zero(t, p.Wait(t))
	line := regexp.MustCompile(`^[0-9]+ (cat \(N\): (has the file|closes the file|sleeps in open)|kernel/myevent_handler: write\("[0-9]+\\n"\) = [23])$`)
	lines := p.lines()
	for _, text := range lines[4 : len(lines)-3] {
		require.Regexp(t, line, text)
	}
	require.Equal(t, "0 /sleep: 40 opens, 40 releases", lines[len(lines)-1])
}

// The number and its post are one step, so each writer posts its own number.
func TestEachWriterPostsItsNumber(t *testing.T) {
	p, dir := served(t)
	write(t, dir+"/kernel/myevent_handler", "")
	_, code := bash(t, "cd "+dir+"/kernel; for i in {101..180}; do echo $i > myevent_id & done; wait")
	require.Zero(t, code)
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.Zero(t, p.Wait(t))
	for i := 101; i <= 180; i++ {
		require.Equal(t, 1, strings.Count(p.Out.String(), fmt.Sprintf("0 posted %d\n", i)), i)
	}
}

func TestAWriteThatStoresNothingPostsNothing(t *testing.T) {
	p, dir := served(t)
	_, code := bash(t, "cd "+dir+"/kernel; (echo 7; echo 8) > myevent_id; echo many > myevent_id; cat myevent_id")
	require.Zero(t, code)
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.Zero(t, p.Wait(t))
	require.Equal(t, 1, strings.Count(p.Out.String(), "posted"), p.Out.String())
	require.Contains(t, p.Out.String(), "\n0 posted 7\n")
}

func TestTheHelperGetsTheNumberAndNoSecret(t *testing.T) {
	t.Setenv("KPRIM_SECRET", "hunter2")
	p, dir := served(t)
	seen := filepath.Join(t.TempDir(), "seen")
	write(t, dir+"/kernel/myevent_handler", executable(t, "tr '\\0' '\\n' < /proc/$$/environ > "+seen+"\nexit 3"))
	write(t, dir+"/kernel/myevent_id", "0") // no event
	write(t, dir+"/kernel/myevent_id", "9527")
	p.waitFor(t, ": exit status 3\n")
	text, err := os.ReadFile(seen)
	require.NoError(t, err)
	env := strings.Fields(string(text))
	slices.Sort(env)
	require.Equal(t, []string{"HOME=/", "PATH=/sbin:/usr/sbin:/bin:/usr/bin", "TROUBLED_DS=9527"}, env)
	require.Equal(t, 1, strings.Count(p.Out.String(), "run_umode_handler is starting..."), "0 starts nothing")
}

// executable makes an executable file.
func executable(t *testing.T, text string) (path string) {
	path = filepath.Join(t.TempDir(), "helper")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	return path
}

func TestTheEndWaitsForTheHelper(t *testing.T) {
	p, dir := served(t)
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	write(t, dir+"/kernel/myevent_handler", executable(t, "read line < "+fifo))
	write(t, dir+"/kernel/myevent_id", "1")
	p.waitFor(t, "): started")
	require.NoError(t, p.Process.Signal(syscall.SIGINT))
	p.waitFor(t, "mykthread: out")
	require.False(t, mounted(t, dir))
	require.NotContains(t, p.Out.String(), "bye")
	require.NoError(t, os.WriteFile(fifo, []byte("\n"), 0))
	require.Zero(t, p.Wait(t))
	lines := p.lines()
	require.Equal(t, []string{
		"0 mykthread: out, kthread_should_stop 1",
		"0 helper (N): exit status 0",
		"0 bye, my dear! cruel world",
		"0 /sleep: 0 opens, 0 releases",
	}, lines[len(lines)-4:])
}

// With one processor of Go, a helper in the mount would wait for an answer that nothing
// can give.
func TestAHelperInTheMountIsRefused(t *testing.T) {
	needFUSE(t)
	dir := filepath.Join(t.TempDir(), "procfs-demo")
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	p := servedAt(t, dir, "GOMAXPROCS=1")
	for _, path := range []string{dir + "/sleep", link + "/sleep", dir + "/kernel/../sleep"} {
		write(t, dir+"/kernel/myevent_handler", path)
		write(t, dir+"/kernel/myevent_id", "1")
		p.waitFor(t, "argv[0] is "+path+"\n0 call_usermodehelper: -35\n")
	}
	write(t, dir+"/kernel/myevent_handler", dir+"/kernel/../../../../../../../../bin/true")
	write(t, dir+"/kernel/myevent_id", "1")
	p.waitFor(t, ": exit status 0\n")
}
