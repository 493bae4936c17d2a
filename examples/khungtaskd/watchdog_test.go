package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/printk"
	"github.com/kprim/kprim/kthread/trace/picture"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/waitqueue"
)

// A bench is a watchdog without a helper, and a disk.
type bench struct {
	*watchdog
	t    *testing.T
	log  *printk.Reader
	disk disk
}

// watching runs a test while khungtaskd runs, in a bubble.
func watching(t *testing.T, test func(b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, disk: disk{log: slog.New(slog.DiscardHandler), queue: waitqueue.Queue{Name: "sda1"}}}
		log := new(printk.Log)
		b.log = log.Reader()
		w, err := newWatchdog(slog.New(log), t.TempDir())
		require.NoError(t, err)
		b.watchdog = w
		khungtaskd := kthread.Run("khungtaskd", w.watch)
		synctest.Wait()
		test(b)
		require.NoError(t, khungtaskd.Stop())
	})
}

// hang makes a thread that hangs until the test answers.
func (b *bench) hang(name string) *kthread.Thread { return kthread.Run(name, b.disk.write) }

// set writes the timeout.
func (b *bench) set(seconds string) {
	require.NoError(b.t, b.tree.WriteFile(sysctl.Root, "kernel/hung_task_timeout_secs", []byte(seconds)))
}

// after lets time pass, and returns the new lines of the log.
func (b *bench) after(d time.Duration) (lines string) {
	time.Sleep(d)
	synctest.Wait()
	for {
		m, _, ok := b.log.TryNext()
		if !ok {
			return lines
		}
		lines += m.Text + "\n"
	}
}

func line(task *kthread.Thread, seconds int) string {
	return fmt.Sprintf("INFO: task %s:%d blocked for more than %d seconds.\n", task.Name(), task.Info().Pid, seconds)
}

func TestHungTaskIsReportedOnceASleep(t *testing.T) {
	watching(t, func(b *bench) {
		time.Sleep(30 * time.Second)
		task := b.hang("flushd")
		require.Empty(t, b.after(209*time.Second), "at 120 s the sleep is younger than 120 s")
		require.Equal(t, line(task, 120), b.after(2*time.Second))
		event, _, ok := b.hung.Load(task.Info().Pid)
		require.True(t, ok)
		require.Equal(t, "sda1", event.Wchan)
		require.Empty(t, b.after(time.Hour), "once is enough")
		b.disk.queue.WakeUp()
		require.Equal(t, line(task, 120), b.after(4*time.Minute), "another sleep")
		b.disk.answer()
		require.NoError(t, task.Stop())
		synctest.Wait()
		require.Empty(t, b.after(4*time.Minute))
		require.Empty(t, b.tasks, "nothing is kept of tasks that are gone")
	})
}

func TestTasksThatDoNotHang(t *testing.T) {
	watching(t, func(b *bench) {
		created := kthread.Create("created", b.disk.write)
		sleeper := kthread.Run("sleeper", func(cur *kthread.Current) error { return cur.Wait(&b.disk.queue, cur.ShouldStop) })
		var done waitqueue.Completion // a wait in state D, which kthread.Tasks does not show without the recorder
		waiter := kthread.Run("waiter", func(*kthread.Current) error { return done.Wait(context.Background()) })
		busy := b.hang("busy")
		var lines string
		for range 100 {
			lines += b.after(100 * time.Second)
			b.disk.queue.WakeUp()
		}
		require.Empty(t, lines)
		b.disk.answer()
		require.NoError(t, busy.Stop())
		require.NoError(t, sleeper.Stop())
		require.Error(t, created.Stop())
		done.Complete()
		require.NoError(b.t, waiter.Wait(b.t.Context()))
	})
}

// With the recorder, the list shows waits with context.Background too, and their wake-ups.
func TestWaitWithoutTheTask(t *testing.T) {
	watching(t, func(b *bench) {
		require.NoError(t, b.recorder.Start())
		defer b.recorder.Stop()
		var tick, done waitqueue.Completion
		stuck := kthread.Run("stuck", func(*kthread.Current) error { return done.Wait(context.Background()) })
		busy := kthread.Run("busy", func(cur *kthread.Current) error {
			for !cur.ShouldStop() {
				_ = tick.Wait(context.Background())
			}
			return nil
		})
		lines := ""
		for range 100 {
			lines += b.after(100 * time.Second)
			tick.Complete()
		}
		require.Equal(t, line(stuck, 120), lines)
		done.Complete()
		require.NoError(t, stuck.Wait(b.t.Context()))
		busy.AskStop(nil)
		tick.Complete()
		require.NoError(t, busy.Wait(b.t.Context()))
	})
}

func TestTimeoutChangesWhileItSleeps(t *testing.T) {
	watching(t, func(b *bench) {
		b.set("0")
		task := b.hang("flushd")
		require.Empty(t, b.after(time.Hour), "0 disables")
		b.set("10")
		require.Equal(t, line(task, 10), b.after(20*time.Second))
		b.set("3600")
		b.disk.queue.WakeUp()
		require.Empty(t, b.after(time.Second))
		b.set("5")
		require.Equal(t, line(task, 5), b.after(10*time.Second), "the change wakes khungtaskd")
		b.disk.answer()
		require.NoError(t, task.Stop())
	})
}

func TestTimeoutHasBounds(t *testing.T) {
	watching(t, func(b *bench) {
		for _, text := range []string{"-1", "2147483649", "soon"} {
			require.Error(t, b.tree.WriteFile(sysctl.Root, "kernel/hung_task_timeout_secs", []byte(text)))
		}
	})
}

// The report comes even if its trace cannot be written.
func TestDirectoryThatIsGone(t *testing.T) {
	watching(t, func(b *bench) {
		require.NoError(t, os.Remove(b.dir))
		task := b.hang("flushd")
		lines := b.after(4 * time.Minute)
		require.True(t, strings.HasPrefix(lines, line(task, 120)+"khungtaskd: no trace error="), lines)
		_, _, ok := b.hung.Load(task.Info().Pid)
		require.True(t, ok, "the event is there")
		b.disk.answer()
		require.NoError(t, task.Stop())
	})
}

// pictureOfTheHang is a picture of a trace of the program without a helper, with the clock of a
// bubble.
func pictureOfTheHang(t *testing.T) string {
	var text strings.Builder
	synctest.Test(t, func(t *testing.T) {
		w, err := newWatchdog(slog.New(slog.DiscardHandler), t.TempDir())
		require.NoError(t, err)
		require.NoError(t, w.recorder.Start())
		defer w.recorder.Stop()
		run := func(name string, f func(*kthread.Current) error) *kthread.Thread {
			thread := kthread.Run(name, f)
			synctest.Wait() // one begins to sleep after the other
			return thread
		}
		khungtaskd, notifier := run("khungtaskd", w.watch), run("hung_notifier", w.notify)
		require.NoError(t, w.tree.WriteFile(sysctl.Root, "kernel/hung_task_timeout_secs", []byte("1")))
		synctest.Wait()
		sda1 := disk{log: w.log, queue: waitqueue.Queue{Name: "sda1"}}
		flushd := run("flushd", sda1.write)
		require.NoError(t, w.notified.Wait(t.Context()))
		files, err := filepath.Glob(filepath.Join(w.dir, "hung-*.ftrace"))
		require.NoError(t, err)
		require.Len(t, files, 1)
		file, err := os.Open(files[0])
		require.NoError(t, err)
		defer file.Close()
		chart, err := picture.Parse(file)
		require.NoError(t, err)
		require.NoError(t, chart.Text(&text, 80))
		sda1.answer()
		for _, thread := range []*kthread.Thread{flushd, notifier, khungtaskd} {
			require.NoError(t, thread.Stop())
		}
	})
	return text.String()
}

func TestPictureIsTheSameEveryTime(t *testing.T) {
	t.Log(pictureOfTheHang(t))
	require.Equal(t, pictureOfTheHang(t), pictureOfTheHang(t))
}
