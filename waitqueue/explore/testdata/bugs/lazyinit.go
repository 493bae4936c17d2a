package bugs

import "sync"

// A Lazy makes its client when it is needed first.
type Lazy struct {
	mu     sync.Locker
	client *Client
	Dials  int // how many clients were made
}

// A Client stands for something that must exist once.
type Client struct{ number int }

// NewLazy returns a Lazy without a client.
func NewLazy() *Lazy { return &Lazy{mu: newLock()} }

// Get is broken, and has no data race. Two goroutines may both find no client.
func (l *Lazy) Get() *Client {
	l.mu.Lock()
	client := l.client
	l.mu.Unlock()
	if client != nil {
		return client
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.client = l.dial()
	return l.client
}

// GetMended looks and acts under one lock.
func (l *Lazy) GetMended() *Client {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client == nil {
		l.client = l.dial()
	}
	return l.client
}

func (l *Lazy) dial() *Client {
	at("dial")
	l.Dials++
	return &Client{l.Dials}
}
