//go:build !mutant

package kthread_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
)

// A runner is a Worker, or a Workqueue in its place.
type runner interface {
	Enqueue(*kthread.Work) bool
	EnqueueAfter(*kthread.DelayedWork, time.Duration) bool
	ModDelayed(*kthread.DelayedWork, time.Duration) bool
	Flush(context.Context) error
	Destroy(context.Context) error
}

// makeRunner makes the worker of a script, or an ordered workqueue in its place.
func (w *world) makeRunner(name string, worker func(string) *kthread.Worker) {
	if w.onQueues {
		w.workers[name] = kthread.AllocWorkqueue(name, 1)
		return
	}
	w.workers[name] = worker(name)
}

// threadOf returns the thread of a worker, or the one of a workqueue that runs a work.
func threadOf(r runner) *kthread.Thread {
	if w, ok := r.(*kthread.Worker); ok {
		return w.Thread()
	}
	return r.(*kthread.Workqueue).Busy()
}

func stopRunner(r runner) {
	if w, ok := r.(*kthread.Worker); ok {
		_ = w.Thread().Stop()
		return
	}
	r.(*kthread.Workqueue).AskStop(nil)
}

// ofTheThread are the ops on the thread of a worker. A workqueue has no thread that a
// program could start, stop or park, and an idle one shows the state I in place of S.
var ofTheThread = []string{"wstart", "wstop", "wpark", "wstate"}

// TestObservedWorksOnAWorkqueue repeats the cases of workers with an ordered workqueue in
// the place of each worker. The outcome has to be the one of the worker in the kernel.
//
//	go test ./kthread -run TestObservedWorksOnAWorkqueue -v
func TestObservedWorksOnAWorkqueue(t *testing.T) {
	const newest = "testdata/kthread-waitqueue-observed-linux-7.3.4.jsonl.gz"
	file := newest
	if dir := os.Getenv("KPRIM_OBSERVED"); dir != "" {
		names, err := filepath.Glob(filepath.Join(dir, "*7.3*.jsonl*"))
		require.NoError(t, err)
		require.NotEmpty(t, names)
		file = names[0]
	}
	_, cases := readCases(t, file)
	sum := &tally{left: map[string][]string{}, differ: map[string][]string{}}
	all := 0
	for _, c := range cases {
		has := func(names ...string) bool {
			return slices.ContainsFunc(c.ops(), func(op []string) bool { return slices.Contains(names, op[0]) })
		}
		if !has("wcreate", "wrun") {
			continue
		}
		all++
		if has(ofTheThread...) {
			sum.leave(c, "about the thread of the worker")
			continue
		}
		c.onQueues = true
		sum.add(t, c)
	}
	sum.print(t, all)
	require.Zero(t, sum.open, "cases that differ, and no rule says why")
	if file == newest {
		require.Equal(t, []int{54, 44, 2, 8}, []int{all, sum.agreed, sum.documented, len(sum.left["about the thread of the worker"])})
	}
}
