package bugs

import "sync"

// A Pool lends connections.
type Pool struct {
	mu       sync.Locker
	returned *sync.Cond
	idle     []string
}

// NewPool returns a pool of these connections.
func NewPool(idle ...string) *Pool {
	mu := newLock()
	return &Pool{mu: mu, returned: sync.NewCond(mu), idle: idle}
}

// Get is broken. Between the Signal and the moment when the woken goroutine has the lock
// again, another goroutine may take the connection.
func (p *Pool) Get() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		p.returned.Wait()
	}
	return p.take()
}

// GetMended looks again.
func (p *Pool) GetMended() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) == 0 {
		p.returned.Wait()
	}
	return p.take()
}

func (p *Pool) take() string {
	last := len(p.idle) - 1
	conn := p.idle[last]
	p.idle = p.idle[:last]
	return conn
}

// Put gives a connection back.
func (p *Pool) Put(conn string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, conn)
	p.returned.Signal()
}
