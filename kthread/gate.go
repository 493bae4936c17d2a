package kthread

import (
	"cmp"
	"context"
	"math"
	"sync"

	"golang.org/x/sync/semaphore"
)

// A gate is a handshake: it starts closed, opens once, and stays open. It is a
// semaphore that is created locked, as init_MUTEX_LOCKED made them. A waiter
// does down, and the opener does up.
//
// Opening releases more tokens than there can be waiters, as complete_all does.
// With a single token, each waiter would take it and put it back. Then this
// could happen:
//
//	A: take the token
//	B: its context has ended; look for a token, find none, give up
//	A: put the token back
//
// B would report an open gate as closed.
type gate struct {
	sem semaphore.Weighted
}

const tokens = math.MaxInt64

func newGate() *gate {
	g := new(gate)
	g.shut()
	return g
}

// shut closes a gate that is the zero value.
func (g *gate) shut() {
	g.sem = *semaphore.NewWeighted(tokens)
	g.sem.TryAcquire(tokens)
}

// open lets every waiter pass, present and later ones. It is called once.
func (g *gate) open() { g.sem.Release(tokens) }

// wait blocks until the gate is open or ctx has ended. An open gate beats an
// ended ctx. Acquire prefers the ended ctx, so TryAcquire has the last word.
//
// If Err of ctx is nil though its Done channel is closed, Acquire returns nil
// without a token. Err may be set a moment later. Package context does not allow
// that, but any package can define a context.
func (g *gate) wait(ctx context.Context) error {
	err := g.sem.Acquire(ctx, 1)
	if err == nil && !isDone(ctx) {
		return nil
	}
	if g.sem.TryAcquire(1) {
		return nil
	}
	return cmp.Or(contextErr(ctx), errNoErr)
}

func isDone(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
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

// wait blocks until there is an answer, and returns it. If ctx ends first, it
// returns the error of contextErr.
func (r *reply) wait(ctx context.Context) error {
	if err := r.done.wait(ctx); err != nil {
		return err
	}
	return r.err
}
