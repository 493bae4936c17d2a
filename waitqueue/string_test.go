package waitqueue_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// A state prints as its letter everywhere, and a mask as its letters.
func TestStatePrintsAsWords(t *testing.T) {
	for _, test := range []struct {
		state waitqueue.State
		want  string
	}{
		{waitqueue.Running, "R"},
		{waitqueue.Interruptible, "S"},
		{waitqueue.Uninterruptible, "D"},
		{waitqueue.Idle, "I"},
		{waitqueue.Parked, "P"},
		{waitqueue.Dead, "X"},
		{waitqueue.Normal, "S|D"},
		{waitqueue.Normal | waitqueue.Parked | waitqueue.Dead, "S|D|P|X"},
		{waitqueue.Idle | waitqueue.Interruptible, "S|I"},
		{1 << 2, "0x4"},
		{1 << 10, "0x400"},
		{waitqueue.Normal | 1<<2 | 1<<31, "S|D|0x80000004"},
	} {
		for _, verb := range []string{"%v", "%s", "%+v"} {
			require.Equal(t, test.want, fmt.Sprintf(verb, test.state))
		}
		require.Equal(t, "{"+test.want+"}", fmt.Sprintf("%v", struct{ S waitqueue.State }{test.state}))
		text, err := json.Marshal(map[waitqueue.State]waitqueue.State{test.state: test.state})
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("{%q:%q}", test.want, test.want), string(text))
		var back map[waitqueue.State]waitqueue.State
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, map[waitqueue.State]waitqueue.State{test.state: test.state}, back)
		require.Contains(t, logged(slog.NewTextHandler, test.state), "x="+test.want)
		require.Contains(t, logged(slog.NewJSONHandler, test.state), fmt.Sprintf(`"x":%q`, test.want))
	}
}

func TestStateOfAnotherTextIsRefused(t *testing.T) {
	for _, text := range []string{"", "s", "S|", "|S", "S D", "Z", "4", "0x", "0x-1", "0x100000000", "S|0xg", " S"} {
		s := waitqueue.Parked
		require.EqualError(t, s.UnmarshalText([]byte(text)), fmt.Sprintf("waitqueue: no state has the text %q", text))
		require.Equal(t, waitqueue.Parked, s)
	}
}

// logged returns the line of a log with the attribute x.
func logged[H slog.Handler](handler func(io.Writer, *slog.HandlerOptions) H, x any) string {
	var b bytes.Buffer
	slog.New(handler(&b, nil)).Info("m", "x", x)
	return b.String()
}

func TestTypesPrintAsWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := waitqueue.Queue{Name: "pipe_wait"}
		task := waitqueue.Task{Name: "reader"}
		require.Equal(t, "Queue(pipe_wait empty)", fmt.Sprint(&q))
		require.Equal(t, "Task(reader R)", fmt.Sprint(&task))
		require.Equal(t, "Task(R)", fmt.Sprint(new(waitqueue.Task)))
		var tok tokens
		result := asleep(func() error { return task.Wait(&q, tok.tryTake) })
		require.Equal(t, "Queue(pipe_wait waiters)", fmt.Sprintf("%+v", &q))
		require.Equal(t, "Task(reader S pipe_wait)", fmt.Sprintf("%+v", &task))
		require.Equal(t, "Entry(Task(reader S pipe_wait))", fmt.Sprintf("%+v", &waitqueue.Entry{Task: &task}))
		tok.Store(1)
		q.WakeUp()
		require.NoError(t, <-result)
		require.Equal(t, "Queue(pipe_wait empty)", fmt.Sprint(&q))

		var printed string
		e := waitqueue.Entry{Func: func(e *waitqueue.Entry, _ waitqueue.State, _ any) int {
			printed = fmt.Sprint(e, &q)
			return 0
		}}
		require.Equal(t, "Entry()", fmt.Sprint(new(waitqueue.Entry)))
		require.Equal(t, "Entry(Func)", fmt.Sprint(&e))
		q.Add(&e)
		q.WakeUp()
		require.Equal(t, "Entry(Func) Queue(pipe_wait busy)", printed, "a wake function may print")
		q.Remove(&e)
		e.Task = &task
		require.Equal(t, "Entry(Task(reader R) Func)", fmt.Sprint(&e))

		var c waitqueue.Completion
		require.Equal(t, "Completion(0 empty)", fmt.Sprint(&c))
		c.Complete()
		c.Complete()
		require.Equal(t, "Completion(2 empty)", fmt.Sprint(&c))
		c.CompleteAll()
		require.Equal(t, "Completion(all empty)", fmt.Sprint(&c))

		cond := waitqueue.NewCond(newGate())
		result = condWait(t, t.Context(), cond)
		require.Equal(t, "Cond(waiters)", fmt.Sprint(cond))
		cond.Broadcast()
		require.NoError(t, <-result)
	})
}

// Any goroutine may print a value that other goroutines use. It gets one short line, from fmt
// and from both handlers of slog. Only the race detector sees the harm.
func TestPrintingALiveValueIsNoDataRace(t *testing.T) {
	var q waitqueue.Queue
	var c waitqueue.Completion
	var task, other waitqueue.Task
	cond := waitqueue.NewCond(new(sync.Mutex))
	entry := waitqueue.Entry{Task: &other}
	const rounds = 300
	var all sync.WaitGroup
	all.Go(func() {
		for range rounds {
			_ = task.WaitExclusive(c.WaitQueue(), c.TryWait)
		}
	})
	all.Go(func() {
		for range rounds {
			q.Prepare(&entry, waitqueue.Interruptible)
			q.Finish(&entry)
			c.Complete()
			cond.Signal()
			q.WakeUp()
		}
	})
	for range rounds {
		for _, x := range []any{&q, &c, cond, &task, &entry, c.WaitQueue()} {
			for _, text := range []string{
				fmt.Sprintf("%v", x), fmt.Sprintf("%+v", x), fmt.Sprintf("%s", x),
				logged(slog.NewTextHandler, x), logged(slog.NewJSONHandler, x),
			} {
				require.Less(t, len(text), 200, text)
				require.Less(t, strings.Count(text, "\n"), 2)
			}
		}
	}
	all.Wait()
}
