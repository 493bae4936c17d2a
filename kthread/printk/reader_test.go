package printk_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread/printk"
	"github.com/kprim/kprim/waitqueue"
)

func TestReaderLearnsHowManyAreLost(t *testing.T) {
	log := &printk.Log{Size: 5 * (100 + 3)}
	r := log.Reader()
	_, _, ok := r.TryNext()
	require.False(t, ok)
	for n := range 3 {
		log.Printk("%03d", n)
	}
	for n := range uint64(2) {
		m, lost, ok := r.TryNext()
		require.True(t, ok)
		require.Zero(t, lost)
		require.Equal(t, n, m.Seq)
		require.Equal(t, fmt.Sprintf("%03d", n), m.Text)
	}
	for n := 3; n < 10; n++ {
		log.Printk("%03d", n)
	}
	m, lost, ok := r.TryNext()
	require.True(t, ok)
	require.EqualValues(t, 3, lost, "2, 3 and 4")
	require.Equal(t, "005", m.Text)
	require.Equal(t, 5, strings.Count(dmesg(t, log), "\n"))

	late := log.Reader()
	m, lost, ok = late.TryNext()
	require.True(t, ok)
	require.Zero(t, lost, "a new reader has lost none")
	require.Equal(t, "005", m.Text)
}

func TestRingIsBounded(t *testing.T) {
	log := &printk.Log{Size: 1000, Mark: "> "}
	log.Printk("%s", strings.Repeat("é", 1000))
	require.Equal(t, "> "+strings.Repeat("é", 125)+"<truncated>\n", dmesg(t, log), "a quarter")
	log.Printk("%s", "a"+strings.Repeat("é", 1000))
	require.Equal(t, "> a"+strings.Repeat("é", 124)+"<truncated>\n", strings.SplitAfter(dmesg(t, log), "\n")[1])
	log.Printk("%s", strings.Repeat("\x80", 1000)) // no character begins in it
	require.True(t, strings.HasSuffix(dmesg(t, log), "\n> <truncated>\n"))
	for range 100 {
		log.Printk("")
	}
	require.Equal(t, 10, strings.Count(dmesg(t, log), "\n"), "empty messages count too")

	tiny := &printk.Log{Size: 1}
	tiny.Printk("a")
	tiny.Printk("b")
	require.Equal(t, 1, strings.Count(dmesg(t, tiny), "\n"), "the newest is kept")
	require.Contains(t, dmesg(t, tiny), "<truncated>")

	for _, size := range []int{0, -1} {
		log = &printk.Log{Size: size}
		log.Printk("%s", strings.Repeat("x", 64<<10))
		require.Contains(t, dmesg(t, log), strings.Repeat("x", 16<<10)+"<truncated>", "64 KiB is the default")
	}
}

// The ring has the names of threads too, and these may be of any length.
func TestRingIsBoundedWithNames(t *testing.T) {
	log := &printk.Log{Size: 1000, Mark: "> "}
	said := func(name string) string {
		ctx, stop := waitqueue.WithTask(t.Context(), name)
		defer stop()
		slog.New(log).InfoContext(ctx, "a")
		return dmesg(t, log)
	}
	require.Equal(t, "> "+strings.Repeat("n", 250)+"<truncated>: a\n", said(strings.Repeat("n", 1<<20)))
	for range 100 {
		said(strings.Repeat("n", 99))
	}
	require.Equal(t, strings.Repeat("> "+strings.Repeat("n", 99)+": a\n", 5), dmesg(t, log), "200 bytes each")
}

// A message that is a small part of a large text does not keep that in memory.
func TestRingHasATextOfItsOwn(t *testing.T) {
	log := new(printk.Log)
	large := strings.Repeat("x", 1<<20)
	slog.New(log).Info(large[:10])
	m, _, _ := log.Reader().TryNext()
	require.Equal(t, large[:10], m.Text)
	require.NotSame(t, unsafe.StringData(large), unsafe.StringData(m.Text))
}

func TestNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log printk.Log
		r := log.Reader()
		time.AfterFunc(time.Minute, func() { log.Printk("at last") })
		m, lost, err := r.Next(t.Context())
		require.NoError(t, err)
		require.Zero(t, lost)
		require.Equal(t, "at last", m.Text)
		require.Equal(t, "[    0.000000] at last\n", m.String())

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err = r.Next(ctx)
		require.ErrorContains(t, err, "printk: no message: ")
		require.ErrorIs(t, err, syscall.ETIMEDOUT)
		log.Printk("more")
		m, _, err = r.Next(ctx)
		require.NoError(t, err, "a message beats the end of ctx")
		require.Equal(t, "more", m.Text)
	})
}

// Each message has its time, also if they arrive in another order, or from another clock.
func TestTimesAreFromTheFirstMessage(t *testing.T) {
	var log printk.Log
	now := time.Now()
	for _, at := range []time.Time{{}, now, now.Add(time.Second), now.Add(-time.Second)} {
		require.NoError(t, log.Handle(t.Context(), slog.NewRecord(at, printk.Info, "x", 0)))
	}
	require.Equal(t, "x\n[    0.000000] x\n[    1.000000] x\n[    0.000000] x\n", dmesg(t, &log))
}

// Readers that are slower than the writers get each message once, or hear that it is lost.
func TestHammerEachMessageIsReadOnceOrCountedAsLost(t *testing.T) {
	const writers, each = 4, 2000
	log := &printk.Log{Size: 20 * 110}
	var all sync.WaitGroup
	for range 3 {
		r := log.Reader()
		all.Go(func() {
			var seen, missed uint64
			for seen+missed < writers*each {
				m, lost, err := r.Next(t.Context())
				if err != nil || m.Seq != seen+missed+lost {
					t.Errorf("message %d after %d read and %d lost: %v", m.Seq, seen, missed+lost, err)
					return
				}
				seen, missed = seen+1, missed+lost
			}
		})
	}
	for range writers {
		all.Go(func() {
			for n := range each {
				log.Printk("%d", n)
			}
		})
	}
	all.Wait()
}
