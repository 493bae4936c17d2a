package printk_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/printk"
	"github.com/kprim/kprim/waitqueue"
)

// dmesg returns the lines of a log.
func dmesg(t *testing.T, log *printk.Log) string {
	var out strings.Builder
	n, err := log.WriteTo(&out)
	require.NoError(t, err)
	require.EqualValues(t, out.Len(), n)
	return out.String()
}

func TestLinesHaveTheKernelsForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var console strings.Builder
		log := &printk.Log{Console: &console}
		program := slog.New(log)
		log.Printk("first\n")
		time.Sleep(12*time.Second + 345678*time.Microsecond)
		program.Error("disk is full", "disk", "sda1")
		time.Sleep(200_000 * time.Second)
		program.Info("with a newline\n", "n", 1)
		log.Printk("bye, %s!\n cruel world", "my dear")
		want := "[    0.000000] first\n" +
			"[   12.345678] disk is full disk=sda1\n" +
			"[200012.345678] with a newline n=1\n" +
			"[200012.345678] bye, my dear!\n" +
			"[200012.345678]  cruel world\n"
		require.Equal(t, want, console.String())
		require.Equal(t, want, dmesg(t, log))
	})
}

func TestEachLineHasTheMark(t *testing.T) {
	for text, want := range map[string]string{
		"hello":                       "kernel: hello\n",
		"hello\n":                     "kernel: hello\n",
		"bye, my dear!\n cruel world": "kernel: bye, my dear!\nkernel:  cruel world\n",
		"a\n\nb\n":                    "kernel: a\nkernel: \nkernel: b\n",
		"":                            "kernel: \n",
		"a\tb":                        "kernel: a\tb\n",
		"\x1b[31mred\r\x00":           `kernel: \x1b[31mred\x0d\x00` + "\n",
		"\xff é \u0085":               `kernel: \xff é \xc2\x85` + "\n",
		"\xff":                        `kernel: \xff` + "\n",
		"\xff\uFFFD":                  `kernel: \xff` + "\uFFFD\n",
		"\u202etxt\u2028a\u2029b":     `kernel: \xe2\x80\xaetxt\xe2\x80\xa8a\xe2\x80\xa9b` + "\n",
	} {
		var console strings.Builder
		log := &printk.Log{Console: &console, Mark: "kernel: "}
		log.Printk("%s", text)
		require.Equal(t, want, console.String())
		require.Equal(t, want, dmesg(t, log))
	}
}

func TestThreadAndTaskAreNamed(t *testing.T) {
	var console strings.Builder
	log := &printk.Log{Console: &console, Mark: "> "}
	program := slog.New(log)
	err := kthread.Run("flusher", func(cur *kthread.Current) error {
		program.InfoContext(cur.Context(), "is up\nand runs")
		return nil
	}).Wait(t.Context())
	require.NoError(t, err)
	ctx, stop := waitqueue.WithTask(t.Context(), "a\nb")
	defer stop()
	program.InfoContext(ctx, "waits")
	require.Equal(t, "> flusher: is up\n> flusher: and runs\n> a\\x0ab: waits\n", console.String())
}

func TestLevelsDecideWhatIsKeptAndShown(t *testing.T) {
	all := []slog.Level{printk.Emerg, printk.Alert, printk.Crit, printk.Err, printk.Warning, printk.Notice, printk.Info, printk.Debug, -100}
	for number, shown := range map[printk.Loglevel]int{-1: 1, 0: 1, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 9, 100: 9} {
		var console strings.Builder
		log := &printk.Log{Console: &console, ConsoleLevel: number, Level: slog.Level(-1000)}
		for _, level := range all {
			slog.New(log).Log(t.Context(), level, "x")
		}
		require.Equal(t, shown, strings.Count(console.String(), "\n"), "console_loglevel %d", number)
		require.Equal(t, len(all), strings.Count(dmesg(t, log), "\n"), "the ring has all")
	}
	var console strings.Builder
	var level slog.LevelVar
	log := &printk.Log{Console: &console}
	for _, level := range all {
		slog.New(log).Log(t.Context(), level, "x")
	}
	require.Equal(t, 7, strings.Count(console.String(), "\n"), "nil means Info")
	require.Equal(t, console.String(), dmesg(t, log))

	level.Set(printk.Err)
	log = &printk.Log{Level: &level}
	log.Printk("a warning")
	require.Empty(t, dmesg(t, log))
	level.Set(printk.Warning)
	log.Printk("a warning")
	require.NotEmpty(t, dmesg(t, log), "the level is read at each message")
}

// A recorder is a handler of another package.
type recorder struct {
	slog.Handler
	last slog.Record
}

func (r *recorder) Handle(_ context.Context, record slog.Record) error {
	r.last = record
	return errors.New("no paper")
}

func TestPrintkGoesToAnyHandler(t *testing.T) {
	h := &recorder{Handler: slog.DiscardHandler}
	printk.Printk(h, "dropped")
	require.Zero(t, h.last)
	h.Handler = slog.NewTextHandler(t.Output(), nil)
	printk.Printk(h, "%d%%\n", 7)
	require.Equal(t, "7%", h.last.Message)
	require.Equal(t, slog.LevelWarn, h.last.Level)
	require.WithinDuration(t, time.Now(), h.last.Time, time.Minute)
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no paper") }

func TestLogHasTheMessageThatTheConsoleRefuses(t *testing.T) {
	log := &printk.Log{Console: broken{}}
	err := log.Handle(t.Context(), slog.NewRecord(time.Now(), printk.Info, "hello", 0))
	require.EqualError(t, err, "no paper")
	log.Printk("again")
	require.Equal(t, 2, strings.Count(dmesg(t, log), "\n"))
	_, err = log.WriteTo(broken{})
	require.EqualError(t, err, "no paper")
}

// A console that panics once holds up no later message.
func TestConsoleThatPanics(t *testing.T) {
	console := &panicking{}
	log := &printk.Log{Console: console, Mark: "> "}
	require.PanicsWithValue(t, "no paper", func() { log.Printk("first") })
	log.Printk("second")
	require.Equal(t, "> second\n", console.String())
	require.Equal(t, "> first\n> second\n", dmesg(t, log))
}

// A panicking console panics at its first line.
type panicking struct {
	strings.Builder
	panicked bool
}

func (p *panicking) WriteString(line string) (int, error) {
	if !p.panicked {
		p.panicked = true
		panic("no paper")
	}
	return p.Builder.WriteString(line)
}

// A caller is an attribute that logs to the same log.
type caller struct{ log *printk.Log }

func (c caller) LogValue() slog.Value {
	c.log.Printk("from inside")
	return slog.IntValue(1)
}

func TestAttributesMayLogToo(t *testing.T) {
	var console strings.Builder
	log := &printk.Log{Console: &console, Mark: "> "}
	slog.New(log).Info("outer", "n", caller{log})
	require.Equal(t, "> from inside\n> outer n=1\n", console.String())
}

// Messages of several threads do not mix, and the console has the order of the ring.
func TestConsoleHasTheOrderOfTheRing(t *testing.T) {
	var console yielding
	log := &printk.Log{Console: &console, Mark: "> "}
	var all sync.WaitGroup
	for thread := range 8 {
		all.Go(func() {
			for n := range 50 {
				log.Printk("thread %d\nline %d", thread, n)
			}
		})
	}
	all.Wait()
	require.Equal(t, dmesg(t, log), console.String())
	for thread := range 8 {
		for n := range 50 {
			require.Contains(t, console.String(), fmt.Sprintf("> thread %d\n> line %d\n", thread, n))
		}
	}
}

// A yielding console lets other threads run during a Write.
type yielding struct{ strings.Builder }

func (y *yielding) Write(line []byte) (int, error) {
	for range 10 {
		runtime.Gosched()
	}
	return y.Builder.Write(line)
}

func (y *yielding) WriteString(line string) (int, error) { return y.Write([]byte(line)) }

// A slow console holds up neither readers nor messages that it does not show.
func TestSlowConsoleHoldsUpOnlyMessagesForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := make(blocked)
		log := &printk.Log{Console: slow, ConsoleLevel: printk.Warning, Mark: "> "}
		go log.Printk("shown")
		synctest.Wait()
		slog.New(log).Info("not shown")
		require.Equal(t, "> shown\n> not shown\n", dmesg(t, log))
		<-slow
	})
}

type blocked chan []byte

func (b blocked) Write(line []byte) (int, error) {
	b <- line
	return len(line), nil
}
