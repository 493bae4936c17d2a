package peers

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/internal/paired"
	"github.com/kprim/kprim/waitqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A job is one thing to do, and several ways to do it.
type job struct {
	name string
	want func(n int) int // the result when the job was done n times
	ways []way
}

// A way does its job n times and returns the result.
type way struct {
	name string
	run  func(n int) int
}

func jobs() []job {
	return append([]job{
		turns(), boundedQueue(), semaphoreOfTwo(), semaphoreAlone(), startStop(),
		flood(), burst(), tunableLoad(), tunableSet(),
	}, systemJobs...)
}

// systemJobs are jobs that only some systems can do.
var systemJobs []job

// TestPairedPeers prints how long each way takes, as a ratio to the first way of its job.
//
//	go test . -run Paired -paired -v -cpu 1,2
func TestPairedPeers(t *testing.T) {
	var contests []paired.Contest
	for _, j := range jobs() {
		contests = append(contests, j.contest())
	}
	paired.Test(t, contests...)
}

func (j job) contest() paired.Contest {
	c := paired.Contest{Name: j.name}
	for _, w := range j.ways {
		c.Ways = append(c.Ways, paired.Way{Name: w.name, Run: func(n int) {
			if got := w.run(n); got != j.want(n) { // a way that does less would look quick
				panic(fmt.Sprintf("peers: %s by %s has the result %d, not %d", j.name, w.name, got, j.want(n)))
			}
		}})
	}
	return c
}

func TestEachWayDoesTheJob(t *testing.T) {
	for _, j := range jobs() {
		for _, w := range j.ways {
			t.Run(j.name+"/"+w.name, func(t *testing.T) {
				for _, n := range []int{1, 2, 7, 100} {
					require.Equal(t, j.want(n), w.run(n), n)
				}
			})
		}
	}
}

// A way that does less than its job ends the measurement.
func TestContestRefusesAWayThatDoesLess(t *testing.T) {
	j := job{name: "Job", want: timesOf(2), ways: []way{{"honest", timesOf(2)}, {"idle", timesOf(0)}}}
	c := j.contest()
	require.NotPanics(t, func() { c.Ways[0].Run(3) })
	require.PanicsWithValue(t, "peers: Job by idle has the result 0, not 6", func() { c.Ways[1].Run(3) })
}

// timesOf returns a function for results that grow with n.
func timesOf(factor int) func(n int) int { return func(n int) int { return n * factor } }

// unending returns a context that has a Done channel and never ends.
func unending() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	context.AfterFunc(ctx, cancel) // or vet reports that cancel is lost
	return ctx
}

// A prepare function makes the context of one goroutine, and undoes that when stop is called.
type prepare func(ctx context.Context) (own context.Context, stop func())

func asItIs(ctx context.Context) (context.Context, func()) { return ctx, func() {} }

func withTask(ctx context.Context) (context.Context, func()) { return waitqueue.WithTask(ctx, "peer") }

// share divides n calls of f among so many goroutines, and waits for all.
func share(n, goroutines int, p prepare, f func(ctx context.Context)) {
	var group sync.WaitGroup
	ctx := unending()
	for i := range goroutines {
		group.Go(func() {
			own, stop := p(ctx)
			defer stop()
			for range (n + i) / goroutines { // these add up to n
				f(own)
			}
		})
	}
	group.Wait()
}
