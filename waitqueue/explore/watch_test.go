package explore_test

import (
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue/explore"
)

// outside is a channel that no bubble has made.
var outside = make(chan bool)

// A hang is a model that neither goes on nor sleeps, or that sleeps where it must not.
var hangs = map[string]struct {
	model             func(m *explore.Model)
	bubbles, programs string // the message, as an expression; "" if it is no hang
}{
	"AMutexOverAPoint": {func(m *explore.Model) {
		var mu sync.Mutex
		for _, name := range []string{"a", "b"} {
			m.Go(name, func(th *explore.Thread) {
				th.Step("lock")
				mu.Lock()
				defer mu.Unlock()
				th.Step("hold")
			})
		}
		m.Go("c", func(*explore.Thread) {})
	}, stuck + `\s+a is stopped at "hold"\n\s+b, goroutine \d+ \[sync.Mutex.Lock.*\n\s+c has ended\n`, ""},
	"ASpinner": {func(m *explore.Model) {
		m.Go("spinner", func(*explore.Thread) {
			for spins := 0; spins >= 0; spins++ {
			}
		})
	}, stuck + `\s+spinner, goroutine \d+ \[run.*\n`, stuck + `\s+spinner, goroutine \d+ \[run.*\n`},
	"AChannelFromOutside": {func(m *explore.Model) {
		m.Go("a", func(*explore.Thread) { <-outside })
	}, stuck + `\s+a, goroutine \d+ \[chan receive, synctest bubble \d+\]`, ""},
	"ACheckThatSleeps": {func(m *explore.Model) {
		m.Go("a", oneStep)
		m.Check(func() error {
			<-make(chan bool)
			return nil
		})
	}, "explore: the check sleeps, and nothing wakes it: deadlock: ", `explore: the check has slept for 300ms \[chan receive`},
	"AnEventThatSleeps": {func(m *explore.Model) {
		m.Event("event", func() { <-make(chan bool) })
	}, "explore: event sleeps, and nothing wakes it: deadlock: ", `explore: event has slept for 300ms \[chan receive`},
	"AModelThatSleeps": {func(m *explore.Model) {
		<-make(chan bool)
	}, "explore: the function of the model sleeps, and nothing wakes it: deadlock: ", `explore: the function of the model has slept for 300ms \[chan receive`},
}

const stuck = `explore: after 300ms a goroutine of the model has not come to its next point, and does not sleep. ` +
	`Does it wait for a sync.Mutex that a stopped goroutine holds\? That must be a Lock. ` +
	`Or for a channel from outside of the model, as t.Context has\? Use Model.Context. The goroutines:`

func TestHangIsTold(t *testing.T) {
	for name, hang := range hangs {
		for _, way := range []string{"bubbles", "program"} {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				want := map[string]string{"bubbles": hang.bubbles, "program": hang.programs}[way]
				if want == "" {
					return
				}
				require.Regexp(t, want, child(t, "TestHangToFail/"+name+"/"+way))
			})
		}
	}
}

func TestHangToFail(t *testing.T) {
	skipUnlessChild(t)
	explore.SetPatience(300 * time.Millisecond)
	for name, hang := range hangs {
		t.Run(name, func(t *testing.T) {
			inBoth(t, func(t *testing.T, find finder) { find(full, hang.model) })
		})
	}
}

// A long thought of a human is no hang. Neither is a long search, nor one that waits for
// its turn.
func TestPatience(t *testing.T) {
	require.Contains(t, child(t, "TestPatienceInAChild"), "--- PASS: TestPatienceInAChild")
	if testing.Short() {
		return // the search takes a minute with the race detector
	}
	require.Contains(t, child(t, "TestLongSearchInAChild"), "--- PASS: TestLongSearchInAChild")
}

func TestPatienceInAChild(t *testing.T) {
	skipUnlessChild(t)
	explore.SetPatience(500 * time.Millisecond)
	in, human := io.Pipe()
	played := make(chan error)
	play := func() {
		_, err := full.Play(in, io.Discard, oneWalker)
		played <- err
	}
	begin := sync.OnceFunc(func() {
		go play()
		<-time.After(10 * time.Millisecond) // it waits for its turn, and gets one before the other orders
		time.AfterFunc(time.Second, func() { _, _ = io.WriteString(human, "1\n") })
	})
	r := full.Run(walkers(func(string) error {
		begin()
		return nil
	}, 3, 3))
	require.Equal(t, explore.Result{Orders: 20}, r)
	require.NoError(t, <-played)
}

func TestLongSearchInAChild(t *testing.T) {
	skipUnlessChild(t)
	explore.SetPatience(time.Second)
	require.Equal(t, multinomial(4, 4, 5), full.Run(walkers(right, 4, 4, 5)).Orders)
}
