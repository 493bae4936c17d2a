//go:build linux || darwin || freebsd

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/examples/internal/printk"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/waitqueue"
)

// A bench is a module with a handler, and a console that never waits.
type bench struct {
	*module
	console strings.Builder // to be read when the thread is gone
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

// kill lets the thread serve all events, kills it, and returns the text of the
// console.
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

// An event beats a signal: no event that was posted before the kill is lost.
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

// A gate is a console at which a thread waits until the gate is opened.
type gate struct{ arrived, opened chan struct{} }

func newGate() gate  { return gate{make(chan struct{}), make(chan struct{})} }
func (g gate) wait() { <-g.arrived }
func (g gate) open() { close(g.opened) }

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

// The thread prints the failure of an alert, and sends the next one.
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

// The end of the helper's time ends the helper and its children. On a busy
// machine the helper may have done nothing yet.
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
	_, err = io.ReadAll(f) // ends when helper and sleep are gone
	require.NoError(t, err)
	b.handler.Store("/bin/sh")
	b.trouble(t, 4711, 396)
	text := b.kill(t)
	require.Regexp(t, "9527: .*deadline exceeded\n", text)
	require.Contains(t, text, "4711 is served\n")
}

// The article's loop loses an event that is posted while the helper runs.
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
	require.Contains(t, text, "2 has 19 bytes free\n", "the latest value counts")
}

// The article's own loop. 2 overwrites 1. While the loop serves 2, 3 is posted,
// and no thread notices. A stray wake-up serves 3, and the next one serves 3
// again.
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
