package waitqueue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kprim/kprim/waitqueue"
)

// A connPool has at most max connections open. A caller that finds none waits in order of arrival.
type connPool struct {
	dial func(ctx context.Context) (conn string, err error)
	max  int

	mu     sync.Mutex
	change *waitqueue.Cond // one connection is idle, or may be opened, or the pool is closed
	idle   []string
	open   int
	closed bool
}

var errPoolClosed = errors.New("the pool is closed")

func newConnPool(max int, dial func(context.Context) (string, error)) *connPool {
	p := &connPool{dial: dial, max: max}
	p.change = waitqueue.NewCond(&p.mu)
	return p
}

// Get returns a connection, and waits for one until ctx ends.
func (p *connPool) Get(ctx context.Context) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.change.WaitFor(ctx, func() bool { return p.closed || len(p.idle) > 0 || p.open < p.max })
	if err != nil {
		return "", err
	}
	if p.closed {
		return "", errPoolClosed
	}
	if last := len(p.idle) - 1; last >= 0 {
		conn := p.idle[last]
		p.idle = p.idle[:last]
		return conn, nil
	}
	return p.openOne(ctx)
}

// openOne dials without the lock. The place is taken before, and free again if the dial fails
// or panics.
func (p *connPool) openOne(ctx context.Context) (conn string, err error) {
	p.open++
	p.mu.Unlock()
	dialled := false
	defer func() {
		p.mu.Lock()
		if !dialled {
			p.open--
			p.change.Signal() // the next caller may dial
		}
	}()
	conn, err = p.dial(ctx)
	dialled = err == nil
	return conn, err
}

// Put gives a connection back.
func (p *connPool) Put(conn string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, conn)
	p.change.Signal()
}

// Close sends all callers of Get away.
func (p *connPool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.change.Broadcast()
}

// A connection pool with a Get that a context can end. If a Signal reaches a caller whose context
// ends, the Signal goes to the next caller, and so does the connection.
func Example_connectionPool() {
	dialled := 0
	pool := newConnPool(1, func(context.Context) (string, error) {
		dialled++
		return fmt.Sprintf("connection %d", dialled), nil
	})
	background := context.Background()
	conn, err := pool.Get(background)
	fmt.Println(conn, err)

	ctx, cancel := context.WithTimeout(background, time.Millisecond)
	defer cancel()
	_, err = pool.Get(ctx)
	fmt.Println(err)

	next := make(chan string)
	go func() {
		conn, _ := pool.Get(background)
		next <- conn
	}()
	pool.Put(conn)
	fmt.Println("the next caller:", <-next)

	pool.Close()
	_, err = pool.Get(background)
	fmt.Println(err)
	// Output:
	// connection 1 <nil>
	// waitqueue: wait timed out: context deadline exceeded
	// the next caller: connection 1
	// the pool is closed
}
