package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
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

// scene is run with n openers, without a word.
func (f *file) scene(n int) {
	f.cpu.Lock()
	f.open("A", new(waitqueue.Task))
	var threads []*kthread.Thread
	for i := range n {
		threads = append(threads, f.cpu.Start(fmt.Sprint(i), f.opener))
	}
	f.close("A")
	f.cpu.Unlock()
	for _, thread := range threads {
		<-thread.Done()
	}
}

// All whom a close wakes get in, if each loses the CPU after the test. If they
// keep it, or have set with the test, they get in one by one: the n sleepers of
// the first close are n-1 at the second.
func TestHowManyGetIn(t *testing.T) {
	for n := range 9 {
		for range 20 {
			one := max(n*(n+1)/2, 0)

			f := &file{test: test, window: next}
			f.scene(n)
			require.Equal(t, []int{0, max(n, 1), n + 1, n}, f.counted())
			f.scene(0) // one comes alone, and the most is what it was
			require.Equal(t, []int{0, max(n, 1), n + 2, n}, f.counted())

			for _, f := range []*file{
				{test: test, window: nobody},
				{test: testAndSet, window: nobody},
				{test: testAndSet, window: next},
			} {
				f.scene(n)
				require.Equal(t, []int{0, 1, n + 1, one}, f.counted())
				require.False(t, f.alreadyOpen.Load())
				require.False(t, f.waitQ.Active(), "nobody is left asleep")
			}
		}
	}
}

func (f *file) counted() []int { return []int{f.inside, f.most, f.opens, f.wakeUps} }

// Who gets in need not have slept: to wake only one is no cure.
func TestNewcomerInTheWindow(t *testing.T) {
	for want, test := range map[int]func(*atomic.Bool) bool{2: test, 1: testAndSet} {
		var newcomer *kthread.Thread
		f := &file{test: test}
		f.window = func(cpu *onecpu.CPU) {
			f.window = nobody // for the newcomer
			newcomer = cpu.Start("newcomer", func(cur *kthread.Current) error {
				f.open("newcomer", cur.Task())
				return nil
			})
		}
		f.cpu.Lock()
		f.open("A", new(waitqueue.Task))
		require.Equal(t, want, f.inside)
		f.close("A")
		f.cpu.Unlock()
		<-newcomer.Done()
	}
}

// Both are on a CPU of their own, and in a wait that queues before it tests. The
// one that passes first waits until the other has passed.
func TestTwoStepsOnTwoCPUs(t *testing.T) {
	for range 100 {
		var queue waitqueue.Queue
		var alreadyOpen atomic.Bool
		var inside atomic.Int32
		var passed, all sync.WaitGroup
		alreadyOpen.Store(true)
		passed.Add(2)
		for range 2 {
			all.Go(func() {
				err := queue.Wait(context.Background(), func() bool { return !test(&alreadyOpen) })
				if err != nil {
					panic(err)
				}
				passed.Done()
				passed.Wait()
				alreadyOpen.Store(true)
				inside.Add(1)
			})
		}
		alreadyOpen.Store(false)
		queue.WakeUpAll()
		all.Wait()
		require.EqualValues(t, 2, inside.Load())
	}
}

// The same wait with the other test, on as many CPUs as there are.
func TestOneStepOnAllCPUs(t *testing.T) {
	type wait func(*waitqueue.Queue, context.Context, func() bool) error
	for name, wait := range map[string]wait{
		"ordinary":  (*waitqueue.Queue).Wait,
		"exclusive": (*waitqueue.Queue).WaitExclusive,
	} {
		t.Run(name, func(t *testing.T) {
			var queue waitqueue.Queue
			var alreadyOpen atomic.Bool
			var all sync.WaitGroup
			inside, opens := 0, 0 // not atomic: the file is their lock, which -race believes
			for range 8 {
				all.Go(func() {
					for range 500 {
						err := wait(&queue, context.Background(), func() bool { return !testAndSet(&alreadyOpen) })
						inside++
						opens++
						if err != nil || inside != 1 {
							panic("two openers")
						}
						inside--
						alreadyOpen.Store(false)
						queue.WakeUp()
					}
				})
			}
			all.Wait()
			require.Equal(t, 8*500, opens)
		})
	}
}

// Two come to a test at the same moment, again and again: one of them gets in.
// A test that loads and then stores lets both in, sooner or later.
func TestOneOfTwoGetsIn(t *testing.T) {
	const rounds = 1000
	var alreadyOpen [rounds]atomic.Bool
	var arrived, in [rounds]atomic.Int32
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			for i := range rounds {
				arrived[i].Add(1)
				for n := 1; arrived[i].Load() < 2; n++ {
					if n%200 == 0 { // the other has no CPU
						runtime.Gosched()
					}
				}
				if !testAndSet(&alreadyOpen[i]) {
					in[i].Add(1)
				}
			}
		})
	}
	both.Wait()
	for i := range rounds {
		require.EqualValues(t, 1, in[i].Load())
	}
}

// Two openers that were woken have two steps each: in 4 of the 6 orders both
// tests come before the first set. A test that sets leaves no such order.
func TestOrders(t *testing.T) {
	var bad, all int
	for order := range 16 { // bit i says whose step i is
		var alreadyOpen atomic.Bool
		var steps, inside int
		var passed [2]bool
		took := [2]int{}
		for i := range 4 {
			who := order >> i & 1
			switch took[who]++; took[who] {
			case 1:
				passed[who] = !test(&alreadyOpen)
			case 2:
				if passed[who] {
					alreadyOpen.Store(true)
					inside++
				}
			}
			steps += who
		}
		if steps == 2 { // two for each
			all++
			if inside == 2 {
				bad++
			}
		}
	}
	require.Equal(t, []int{4, 6}, []int{bad, all})

	var alreadyOpen atomic.Bool
	require.False(t, testAndSet(&alreadyOpen))
	require.True(t, testAndSet(&alreadyOpen), "whichever of the two this is")
}

func TestFailedWrite(t *testing.T) {
	_, w := io.Pipe()
	require.NoError(t, w.Close())
	require.ErrorIs(t, session(w), io.ErrClosedPipe)
}
