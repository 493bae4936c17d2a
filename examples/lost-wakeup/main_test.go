package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/internal/oldkernel"
	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/examples/step/steptest"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// runMain is the environment variable with which the test binary is the program.
const runMain = "KPRIM_LOST_WAKEUP_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main() // exits
	}
	goleak.VerifyTestMain(m)
}

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

func TestEveryOrderCanBePlayed(t *testing.T) {
	for range 200 {
		steptest.All(t, game, 5, 1)
	}
}

// The README shows the beginning of a game.
func TestREADMEShowsTheGame(t *testing.T) {
	screen := steptest.Terminal(t, game, []string{"-step"}, "1", "h", "q")
	require.Contains(t, readme, "-step\n\n```text\n"+screen+"```\n")
}

// The player wins the order that the transcript shows.
func TestWonGame(t *testing.T) {
	screen := steptest.Terminal(t, game, []string{"-step"}, "1", "2", "2", "1", "q")
	_, order, _ := strings.Cut(transcript, "the simplest:\n")
	order, _, _ = strings.Cut(order, "asleep: waiter\n")
	require.Contains(t, screen, "\nYou have won: asleep: waiter\nYour order:\n"+order+"replay 1.2.2.1\n")
	require.Contains(t, transcript, "asleep: waiter\nreplay 1.2.2.1\n")
}

// The right loops are played too, and no order wins.
func TestNoOrderOfTheRightLoopWins(t *testing.T) {
	steptest.All(t, step.Game{Aim: game.Aim, Model: model(prepare)}, 8, 0)
}

func TestArguments(t *testing.T) {
	for range 2 {
		var out strings.Builder
		require.NoError(t, program.Run(nil, nil, &out))
		require.Equal(t, transcript, out.String())
		out.Reset()
		require.NoError(t, program.Run([]string{"-show"}, nil, &out))
		require.Contains(t, out.String(), "replay 1.2.2.1\n")
		require.NotContains(t, out.String(), "# test, then sleep")
		require.Equal(t, 2, step.Status(program.Run([]string{"-x"}, nil, &out)))
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken") }

func TestConsoleThatFails(t *testing.T) {
	require.EqualError(t, session(broken{}), "broken")
	goleak.VerifyNone(t)
}

// The waker comes before each of the waiter's steps. Only one of these moments
// loses the wake-up, and only in one loop.
func TestTheWindow(t *testing.T) {
	for _, test := range []struct {
		name   string
		waiter func(*event, *orders.Thread)
		woke   []int // by a wake-up before a step
		lost   int   // at which of them
	}{
		{"sleepOn", sleepOn, []int{0, 0}, 1},
		{"prepare", prepare, []int{0, 1, 1}, -1},
		{"waitEvent", waitEvent, []int{0, 1}, -1},
	} {
		for steps, woke := range test.woke {
			var e event
			th := orders.Go(func(th *orders.Thread) { test.waiter(&e, th) }, steps, e.waker)
			asleep := orders.Settle(th)
			require.Equal(t, steps == test.lost, asleep == 1, "%s after %d steps", test.name, steps)
			require.Equal(t, woke, e.woke, "%s after %d steps", test.name, steps)
			require.True(t, e.condition.Load())
			if asleep == 1 {
				require.Equal(t, waitqueue.Interruptible, th.Task.State())
				require.Equal(t, 1, e.queue.WakeUp(), "a stray one sets it free")
				require.Zero(t, orders.Settle(th))
			}
			require.False(t, e.queue.Active())
		}
	}
}

// search is inEveryOrder with another waker.
func search(waiter func(*event, *orders.Thread), waker func(*event, *orders.Thread)) explore.Result {
	return explore.Search{}.Run(func(m *explore.Model) {
		var e event
		orders.Add(m, "waiter", func(th *orders.Thread) { waiter(&e, th) })
		orders.Add(m, "waker", func(th *orders.Thread) { waker(&e, th) })
	})
}

// The first answer.
func TestWakeUpBeforeTheCondition(t *testing.T) {
	found := search(prepare, func(e *event, th *orders.Thread) {
		th.Step("wake_up")
		e.queue.WakeUp()
		th.Step("set condition")
		e.condition.Store(true)
	})
	require.Equal(t, `19 orders, 8 bad, the simplest:
   1  waker: wake_up
   2  waiter: queue myself
   3  waiter: test condition
   4  waiter: sleep
   5  waker: set condition
asleep: waiter
replay 2.1.1.1.2
`, found.String())
	require.Contains(t, answers, fmt.Sprintf("\n%d of %d orders are bad.", found.Bad, found.Orders))
}

// The second answer is the loop of articles 1 and 2.
func TestSleepThenTest(t *testing.T) {
	found := search(func(e *event, th *orders.Thread) {
		wait := waitqueue.Entry{Task: &th.Task}
		e.queue.Add(&wait)
		for {
			th.Step("set state and sleep")
			th.Task.SetState(waitqueue.Interruptible)
			th.Schedule()
			if th.Test(e.condition.Load) {
				break
			}
		}
		e.queue.Remove(&wait)
	}, (*event).waker)
	require.Equal(t, `3 orders, 1 bad, the simplest:
   1  waker: set condition
   2  waker: wake_up
   3  waiter: set state and sleep
asleep: waiter
replay 2.2.1
`, found.String())
	require.Contains(t, answers, fmt.Sprintf("\nThere are %d orders, and %d is bad.", found.Orders, found.Bad))
}

// On one CPU no other thread runs between the test and the sleep of article 3. Articles
// 1 and 2 do not test before they sleep. So they lose an event that is posted before that.
func TestOneCPU(t *testing.T) {
	var cpu *onecpu.CPU
	var e *event
	var task *waitqueue.Task
	var started chan bool // the helper
	article3 := func() {
		for !e.condition.Load() {
			oldkernel.InterruptibleSleepOn(cpu, &e.queue, task)
		}
	}
	article1 := func() {
		wait := waitqueue.Entry{Task: task, Func: cpu.Enqueue}
		e.queue.Add(&wait)
		defer e.queue.Remove(&wait)
		for more := true; more; more = !e.condition.Load() {
			task.SetState(waitqueue.Interruptible)
			cpu.Schedule(task)
		}
	}
	article2 := func() {
		article1()
		e.condition.Store(false)
		cpu.Sleep(func() { <-started })
		article1()
	}
	post := func() {
		e.condition.Store(true)
		e.woke = e.queue.WakeUp()
	}
	settle := func() { cpu.Sleep(synctest.Wait) }
	nothing := func() {}
	during := func() {
		post()
		settle()
		post()
		close(started)
	}
	for _, test := range []struct {
		name                string
		before, loop, after func()
		lost                bool
	}{
		{"article 3, posted before", post, article3, nothing, false},
		{"article 3, posted after", nothing, article3, post, false},
		{"article 1, posted before", post, article1, nothing, true},
		{"article 1, posted after", nothing, article1, post, false},
		{"article 2, posted during the helper", nothing, article2, during, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			cpu, e, task, started = new(onecpu.CPU), new(event), new(waitqueue.Task), make(chan bool)
			cpu.Lock()
			defer cpu.Unlock()
			test.before()
			go func() {
				cpu.Lock()
				defer cpu.Unlock()
				test.loop()
			}()
			settle()
			test.after()
			settle()
			require.True(t, e.condition.Load())
			require.Equal(t, test.lost, task.State() == waitqueue.Interruptible, test.name)
			if test.lost {
				require.Zero(t, e.woke)
				require.Equal(t, 1, e.queue.WakeUp(), "a stray one sets it free")
				settle()
			}
			require.False(t, e.queue.Active())
		})
	}
}
