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

	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

//go:embed testdata/transcript.txt
var transcript string

//go:embed README.md
var readme string

//go:embed answers.md
var answers string

func TestTranscriptIsTheSameEveryTime(t *testing.T) {
	for range 200 {
		var out strings.Builder
		require.NoError(t, session(&out))
		require.Equal(t, transcript, out.String())
	}
}

// quiet is a scene with n openers that prints nothing.
func (f *file) quiet(n int) {
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

// If each woken opener loses the CPU after its test, all of them get in. If each
// keeps the CPU, or sets the flag with the test, they get in one by one. Then
// the first close wakes n sleepers, and the second wakes n-1.
func TestHowManyGetIn(t *testing.T) {
	for n := range 9 {
		for range 20 {
			one := max(n*(n+1)/2, 0)

			f := &file{test: test, window: next}
			f.quiet(n)
			require.Equal(t, []int{0, max(n, 1), n + 1, n}, f.counted())
			f.quiet(0) // one comes alone, and the most does not change
			require.Equal(t, []int{0, max(n, 1), n + 2, n}, f.counted())

			for _, f := range []*file{
				{test: test, window: noOther},
				{test: testAndSet, window: noOther},
				{test: testAndSet, window: next},
			} {
				f.quiet(n)
				require.Equal(t, []int{0, 1, n + 1, one}, f.counted())
				require.False(t, f.alreadyOpen.Load())
				require.False(t, f.waitQ.Active(), "no thread is left asleep")
			}
		}
	}
}

func (f *file) counted() []int { return []int{f.inside, f.most, f.opens, f.wakeUps} }

// An opener that has not slept gets in too. So it does not help if a close
// wakes only one.
func TestNewcomerInTheWindow(t *testing.T) {
	for want, test := range map[int]func(*atomic.Bool) bool{2: test, 1: testAndSet} {
		var newcomer *kthread.Thread
		f := &file{test: test}
		f.window = func(cpu *onecpu.CPU) {
			f.window = noOther // for the newcomer
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

// Each opener has a CPU of its own, and waits in a loop that queues before it
// tests. The opener that passes the test first waits until the other passes it.
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
			inside, opens := 0, 0 // not atomic: the file is their lock, and -race accepts it
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

// Two threads come to a test at the same moment, again and again, and one of
// them gets in. A test that loads and then stores lets both in sooner or later.
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
					if n%200 == 0 { // the other thread has no CPU
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

// The second answer: two readers of sleepy.c are awake, and each of them has a
// test and a clear.
func TestTwoReaders(t *testing.T) {
	readers := func(m *explore.Model) {
		flag, through := true, 0
		for _, name := range []string{"reader 1", "reader 2"} {
			orders.Add(m, name, func(th *orders.Thread) {
				th.Step("test flag")
				passes := flag
				th.Step("clear flag")
				if passes {
					flag = false
					through++
				}
			})
		}
		m.Check(orders.Fault("both got through", func() bool { return through > 1 }))
	}
	found := explore.Search{}.Find(t, readers)
	require.Equal(t, []int{6, 4}, []int{found.Orders, found.Bad})
	require.Contains(t, answers, "Both get through in 4 of the 6 orders")
}

func TestFailedWrite(t *testing.T) {
	_, w := io.Pipe()
	require.NoError(t, w.Close())
	require.ErrorIs(t, session(w), io.ErrClosedPipe)
}
