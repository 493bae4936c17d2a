package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl/vfs"
	"github.com/kprim/kprim/waitqueue"
)

// asleep starts a call in a bubble, and requires that it sleeps on the queue. The channel
// has its result.
func asleep(t *testing.T, queue *waitqueue.Queue, call func(*waitqueue.Task) string) (*waitqueue.Task, chan string) {
	var task waitqueue.Task
	result := make(chan string, 1)
	go func() { result <- call(&task) }()
	synctest.Wait()
	require.Empty(t, result)
	require.Equal(t, queue.Name, task.Wchan())
	require.Equal(t, waitqueue.Interruptible, task.State())
	return &task, result
}

func read(f *file, size int) func(*waitqueue.Task) string {
	return func(task *waitqueue.Task) string {
		buf := make([]byte, size)
		n, err := f.read(task, buf)
		return fmt.Sprintf("%q %s", buf[:n], result(n, err))
	}
}

func write(f *file, text string) func(*waitqueue.Task) string {
	return func(task *waitqueue.Task) string {
		return result(f.write(task, []byte(text)))
	}
}

const (
	eagain = "-1 EAGAIN (resource temporarily unavailable)"
	eintr  = "-1 EINTR (interrupted system call)"
	epipe  = "-1 EPIPE (broken pipe)"
)

// inBubble runs a test with a pipe of one page of four bytes.
func inBubble(t *testing.T, test func(t *testing.T, r, w *file)) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newPipe(new(sync.Mutex), 1, 4)
		test(t, r, w)
	})
}

func TestWriteWakesReader(t *testing.T) {
	inBubble(t, func(t *testing.T, r, w *file) {
		_, got := asleep(t, r.rdWait, read(r, 8))
		require.Equal(t, "2", write(w, "ab")(nil))
		require.Equal(t, `"ab" 2`, <-got)
	})
}

func TestReadWakesWriter(t *testing.T) {
	inBubble(t, func(t *testing.T, r, w *file) {
		require.Equal(t, "4", write(w, "abcd")(nil))
		_, got := asleep(t, r.wrWait, write(w, "ef"))
		require.Equal(t, `"abc" 3`, read(r, 3)(nil))
		synctest.Wait()
		require.Empty(t, got, "the page is in use yet")
		require.Equal(t, `"d" 1`, read(r, 3)(nil))
		require.Equal(t, "2", <-got)
		require.Equal(t, `"ef" 2`, read(r, 3)(nil))
	})
}

// A write of more than there is room wakes the reader before it sleeps.
func TestBigWrite(t *testing.T) {
	inBubble(t, func(t *testing.T, r, w *file) {
		_, first := asleep(t, r.rdWait, read(r, 8))
		_, wrote := asleep(t, r.wrWait, write(w, "abcdefghij"))
		require.Equal(t, `"abcd" 4`, <-first)
		require.Equal(t, `"efgh" 4`, read(r, 8)(nil))
		require.Equal(t, "10", <-wrote)
		require.Equal(t, `"ij" 2`, read(r, 8)(nil))
	})
}

// One write wakes one reader. If that leaves a byte, it wakes the next reader.
func TestReaderWakesNextReader(t *testing.T) {
	inBubble(t, func(t *testing.T, r, w *file) {
		_, a := asleep(t, r.rdWait, read(r, 1))
		taskB, b := asleep(t, r.rdWait, read(r, 1))
		taskC, c := asleep(t, r.rdWait, read(r, 1))
		require.Equal(t, "2", write(w, "xy")(nil))
		require.Equal(t, `"x" 1`, <-a)
		require.Equal(t, `"y" 1`, <-b)
		synctest.Wait()
		require.EqualValues(t, 1, taskB.WakeUps())
		require.Zero(t, taskC.WakeUps())
		w.close()
		require.Equal(t, `"" 0`, <-c)
	})
}

func TestWriterWakesNextWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newPipe(new(sync.Mutex), 2, 4)
		require.Equal(t, "8", write(w, "abcdefgh")(nil))
		_, a := asleep(t, r.wrWait, write(w, "ijkl"))
		_, b := asleep(t, r.wrWait, write(w, "mnop"))
		require.Equal(t, `"abcdefgh" 8`, read(r, 8)(nil))
		require.Equal(t, []string{"4", "4"}, []string{<-a, <-b})
	})
}

func TestWriterGoesAway(t *testing.T) {
	inBubble(t, func(t *testing.T, r, w *file) {
		_, a := asleep(t, r.rdWait, read(r, 8))
		_, b := asleep(t, r.rdWait, read(r, 8))
		w.close()
		require.Equal(t, []string{`"" 0`, `"" 0`}, []string{<-a, <-b})
	})
}

func TestTheRestBeforeTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, r, w *file) {
		require.Equal(t, "2", write(w, "ab")(nil))
		w.close()
		require.Equal(t, `"ab" 2`, read(r, 8)(nil))
		require.Equal(t, `"" 0`, read(r, 8)(nil))
	})
}

// A write that has moved bytes returns their number, and other writes the error.
func TestReaderGoesAway(t *testing.T) {
	inBubble(t, func(t *testing.T, r, w *file) {
		_, a := asleep(t, r.wrWait, write(w, "abcdef"))
		_, b := asleep(t, r.wrWait, write(w, "ghi"))
		r.close()
		require.Equal(t, []string{"4", epipe}, []string{<-a, <-b})
		require.Equal(t, epipe, write(w, "g")(nil))
		require.Equal(t, "0", write(w, "")(nil))
	})
}

// Another file for the same end keeps it open.
func TestLastReaderGoesAway(t *testing.T) {
	inBubble(t, func(t *testing.T, r, w *file) {
		r.readers++ // dup(2), or fork(2)
		task, got := asleep(t, r.wrWait, write(w, "abcdef"))
		r.close()
		synctest.Wait()
		require.Empty(t, got)
		require.Zero(t, task.WakeUps(), "the other end is still open")
		r.close()
		require.Equal(t, "4", <-got)
	})
}

func TestSignal(t *testing.T) {
	inBubble(t, func(t *testing.T, r, w *file) {
		task, got := asleep(t, r.rdWait, read(r, 8))
		task.Interrupt()
		require.Equal(t, `"" `+eintr, <-got)

		task, got = asleep(t, r.wrWait, write(w, "abcdef"))
		task.Interrupt()
		require.Equal(t, "4", <-got, "bytes that were written go before the signal")

		task, got = asleep(t, r.wrWait, write(w, "g"))
		task.Interrupt()
		require.Equal(t, eintr, <-got)
		require.False(t, r.rdWait.Active() || r.wrWait.Active())
	})
}

// A signal that is pending ends no call that need not sleep.
func TestSignalIsLast(t *testing.T) {
	r, w := newPipe(new(sync.Mutex), 1, 4)
	var task waitqueue.Task
	task.Interrupt()
	require.Equal(t, "4", write(w, "abcd")(&task))
	require.Equal(t, `"abcd" 4`, read(r, 8)(&task))
	require.Equal(t, `"" `+eintr, read(r, 8)(&task))
	w.close()
	require.Equal(t, `"" 0`, read(r, 8)(&task))
}

// Poll sleeps on the queues of both files. Either of them ends the sleep.
func TestPollOfTwoPipes(t *testing.T) {
	for name, test := range map[string]struct {
		happens func(in, w, r, out *file)
		in, out vfs.PollEvents
	}{
		"bytes":              {func(_, w, _, _ *file) { write(w, "x")(nil) }, vfs.PollIn | vfs.PollRdNorm, 0},
		"room":               {func(_, _, r, _ *file) { read(r, 8)(nil) }, 0, vfs.PollOut | vfs.PollWrNorm},
		"the writer is gone": {func(_, w, _, _ *file) { w.close() }, vfs.PollHup, 0},
		"the reader is gone": {func(_, _, r, _ *file) { r.close() }, 0, vfs.PollErr},
	} {
		synctest.Test(t, func(t *testing.T) {
			in, w := newPipe(new(sync.Mutex), 1, 4)
			r, out := newPipe(new(sync.Mutex), 1, 4)
			write(out, "abcd")(nil)
			polled := make(chan error, 1)
			go func() {
				ready := func() bool { return in.poll()|out.poll() != 0 }
				polled <- waitqueue.WaitAny(context.Background(), ready, in.queue(), out.queue())
			}()
			synctest.Wait()
			require.Empty(t, polled)
			test.happens(in, w, r, out)
			require.NoError(t, <-polled)
			require.Equal(t, []vfs.PollEvents{test.in, test.out}, []vfs.PollEvents{in.poll(), out.poll()}, name)
		})
	}
}

// Writers write records of one page or less. All bytes come out, no record is torn, and
// the records of each writer keep their order.
func TestHammer(t *testing.T) {
	const writers, readers, page = 4, 3, 64
	records := 2000
	if testing.Short() {
		records = 200
	}
	r, w := newPipe(new(sync.Mutex), 4, page)
	w.writers, r.readers = writers, readers
	var all, inOne sync.WaitGroup
	for id := range writers {
		all.Go(func() {
			var task waitqueue.Task
			defer w.close()
			for n := range records {
				record := newRecord(uint32(id), uint32(n), page)
				moved, err := w.write(&task, record)
				if err != nil || moved != len(record) {
					t.Errorf("writer %d: %d, %v", id, moved, err)
				}
			}
		})
	}
	// The readers take turns for a record, and poll for its first byte without the turn.
	var turn sync.Mutex
	next := make([]uint32, writers)
	for range readers {
		inOne.Go(func() {
			defer r.close()
			var task waitqueue.Task
			readable := func() bool { return r.poll() != 0 }
			for {
				if err := waitqueue.WaitAny(t.Context(), readable, r.queue()); err != nil {
					t.Error(err)
				}
				turn.Lock()
				more := readRecord(t, reader{r, &task}, next)
				turn.Unlock()
				if !more {
					return
				}
			}
		})
	}
	all.Wait()
	inOne.Wait()
	for _, n := range next {
		require.EqualValues(t, records, n)
	}
	require.False(t, r.rdWait.Active() || r.wrWait.Active())
}

// A record has its length, its writer, its number, and bytes that are like its number.
func newRecord(id, n uint32, page int) []byte {
	size := 9 + rand.IntN(page-8)
	record := binary.LittleEndian.AppendUint32([]byte{byte(size)}, id)
	record = binary.LittleEndian.AppendUint32(record, n)
	return append(record, bytes.Repeat([]byte{byte(n)}, size-9)...)
}

// A reader is an io.Reader.
type reader struct {
	file *file
	task *waitqueue.Task
}

func (r reader) Read(buf []byte) (int, error) {
	n, err := r.file.read(r.task, buf)
	if n == 0 && err == nil && len(buf) > 0 {
		return 0, io.EOF
	}
	return n, err
}

func readRecord(t *testing.T, r reader, next []uint32) (more bool) {
	size := make([]byte, 1)
	if _, err := io.ReadFull(r, size); err != nil {
		return false
	}
	rest := make([]byte, size[0]-1)
	if _, err := io.ReadFull(r, rest); err != nil {
		t.Error(err)
		return false
	}
	id, n := binary.LittleEndian.Uint32(rest), binary.LittleEndian.Uint32(rest[4:])
	if next[id] != n || !bytes.Equal(rest[8:], bytes.Repeat([]byte{byte(n)}, len(rest)-8)) {
		t.Errorf("writer %d: record %d is %x, want record %d", id, n, rest[8:], next[id])
	}
	next[id]++
	return true
}

// Bytes that many writers write, and many readers take one at a time, are as many as they
// were. Each call may sleep, and each may be the last of its side.
func TestBytesInAreBytesOut(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	for round := range rounds {
		const sides = 3
		r, w := newPipe(new(sync.Mutex), 1+round%2, 1+round%4)
		w.writers, r.readers = sides, sides
		var all sync.WaitGroup
		var mu sync.Mutex
		sum := 0
		for id := range sides {
			all.Go(func() {
				defer w.close()
				for n := range 20 {
					_, _ = w.write(new(waitqueue.Task), bytes.Repeat([]byte{1}, 1+(id+n)%7))
				}
			})
			all.Go(func() {
				defer r.close()
				for buf := make([]byte, 1+id); ; {
					n, err := r.read(new(waitqueue.Task), buf)
					if err != nil {
						t.Error(err)
					}
					if n == 0 {
						return
					}
					mu.Lock()
					sum += n
					mu.Unlock()
				}
			})
		}
		all.Wait()
		want := 0
		for id := range sides {
			for n := range 20 {
				want += 1 + (id+n)%7
			}
		}
		require.Equal(t, want, sum)
	}
}

// Some waits of the hammer end by a signal. A wake-up that such a waiter had is not lost:
// the test ends.
func TestSignalsSwallowNoWakeUp(t *testing.T) {
	for range 200 {
		r, w := newPipe(new(sync.Mutex), 1, 1)
		var all sync.WaitGroup
		tasks := [2]waitqueue.Task{}
		got := make(chan int, 2)
		for i := range tasks {
			all.Go(func() {
				n, err := r.read(&tasks[i], make([]byte, 1))
				if err != nil && (i == 1 || vfs.Errno(err) != syscall.EINTR) {
					t.Error(err)
				}
				got <- n
			})
		}
		all.Go(func() { tasks[0].Interrupt() })
		all.Go(func() {
			_, _ = w.write(new(waitqueue.Task), []byte("x"))
		})
		// One of them gets the byte. If the other is not interrupted, it waits for the end.
		first := <-got
		if first == 0 {
			first = <-got
			got <- 0
		}
		require.Equal(t, 1, first)
		w.close()
		all.Wait()
	}
}
