package waitqueue_test

import (
	"container/list"
	"context"
	"sync"
)

// The rivals of [waitqueue.Cond], as projects write them for themselves. The caller of wait,
// signal and broadcast holds L, and still holds it when they return.

// sliceCond is listCond with less: a slice in place of the list.
type sliceCond struct {
	L       sync.Mutex
	waiters []chan struct{}
}

func (c *sliceCond) wait(ctx context.Context) error {
	ready := make(chan struct{})
	c.waiters = append(c.waiters, ready)
	c.L.Unlock()
	defer c.L.Lock()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return ctx.Err() // its channel stays in the slice and takes a signal
	}
}

func (c *sliceCond) signal() {
	if len(c.waiters) > 0 {
		close(c.waiters[0])
		c.waiters = c.waiters[1:]
	}
}

// listCond is a list of channels and a select. Each waiter has a channel of its own, so a
// signal is for the waiter that came first.
type listCond struct {
	L       sync.Mutex
	waiters list.List
}

func (c *listCond) wait(ctx context.Context) error {
	ready := make(chan struct{})
	me := c.waiters.PushBack(ready)
	c.L.Unlock()
	defer c.L.Lock()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		c.L.Lock()
		c.waiters.Remove(me) // may lose a signal, as in most such lists
		c.L.Unlock()
		return ctx.Err()
	}
}

func (c *listCond) signal() {
	if first := c.waiters.Front(); first != nil {
		close(c.waiters.Remove(first).(chan struct{}))
	}
}

// roundCond has one channel for each round of waiters. It wakes all of them, and cannot wake
// only one.
type roundCond struct {
	L     sync.Mutex
	round chan struct{} // or nil: nobody waits
}

func (c *roundCond) wait(ctx context.Context) error {
	if c.round == nil {
		c.round = make(chan struct{})
	}
	round := c.round
	c.L.Unlock()
	defer c.L.Lock()
	select {
	case <-round:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *roundCond) broadcast() {
	if c.round != nil {
		close(c.round)
		c.round = nil
	}
}

// afterFuncCond is a sync.Cond with context.AfterFunc around each wait. The end of a context
// wakes all waiters, because a Signal could wake another waiter.
type afterFuncCond struct {
	L    sync.Mutex
	cond sync.Cond
}

func newAfterFuncCond() *afterFuncCond {
	c := new(afterFuncCond)
	c.cond.L = &c.L
	return c
}

func (c *afterFuncCond) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		// Without the lock the broadcast could come before the sleep.
		c.L.Lock()
		defer c.L.Unlock()
		c.cond.Broadcast()
	})
	defer stop()
	c.cond.Wait()
	return ctx.Err()
}
