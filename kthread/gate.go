package kthread

import (
	"context"
	"math"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/kprim/kprim/waitqueue"
)

// A gate is a handshake: closed when made, opened once, open for ever. It is
// a semaphore that is created locked, as init_MUTEX_LOCKED made them, waited
// for by down and opened by up.
//
// Opening gives out more tokens than there can be waiters, as complete_all
// does. A single token that each waiter takes and puts back would be missing
// in between: a waiter whose context has ended, and who looks just then, would
// take an open gate for a closed one.
type gate struct {
	sem  semaphore.Weighted
	once sync.Once
}

const tokens = math.MaxInt64

func newGate() *gate {
	g := new(gate)
	g.shut()
	return g
}

// shut makes a zero gate one that is closed.
func (g *gate) shut() {
	g.sem = *semaphore.NewWeighted(tokens)
	g.sem.TryAcquire(tokens)
}

// open lets everybody pass, now and later. Opening an open gate does nothing.
func (g *gate) open() {
	g.once.Do(func() { g.sem.Release(tokens) })
}

// wait blocks until the gate is open or ctx has ended. An open gate beats an
// ended ctx. Acquire has it the other way round, so the last word is a try.
func (g *gate) wait(ctx context.Context) error {
	if g.sem.Acquire(ctx, 1) == nil || g.sem.TryAcquire(1) {
		return nil
	}
	return waitqueue.ContextErr(ctx)
}

// A reply is a gate with an answer. Only the first answer counts.
type reply struct {
	once sync.Once
	done *gate
	err  error // written once before done opens
}

func newReply() *reply { return &reply{done: newGate()} }

func (r *reply) answer(err error) {
	r.once.Do(func() {
		r.err = err
		r.done.open()
	})
}

// wait blocks until there is an answer, and returns it, or until ctx has ended.
func (r *reply) wait(ctx context.Context) error {
	if err := r.done.wait(ctx); err != nil {
		return err
	}
	return r.err
}
