package explore_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/kprim/kprim/waitqueue/explore"
)

// A server runs jobs until it is shut down.
type server struct {
	mu      sync.Locker
	closing atomic.Bool
	jobs    sync.WaitGroup
	at      func(point string)
}

// enter reports whether the server is open, and counts the job then.
func (s *server) enter() bool {
	if s.closing.Load() {
		return false
	}
	s.at("it is open")
	s.jobs.Add(1)
	return true
}

// enterRight does both under the lock that shutdown takes.
func (s *server) enterRight() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.enter()
}

// shutdown refuses new jobs, and waits for the others.
func (s *server) shutdown() {
	s.mu.Lock()
	s.closing.Store(true)
	s.mu.Unlock()
	s.jobs.Wait()
}

// shutdownModel has a client with a job, and an operator.
func shutdownModel(enter func(*server) bool) func(*explore.Model) {
	return func(m *explore.Model) {
		s := &server{mu: m.NewLock(), at: m.At}
		down, late := false, false
		m.Go("client", func(th *explore.Thread) {
			th.Step("ask")
			if enter(s) {
				th.Step("work")
				late = down
				s.jobs.Done()
			}
		})
		m.Go("operator", func(th *explore.Thread) {
			th.Step("shut down")
			s.shutdown()
			down = true
		})
		m.Check(func() error {
			if late {
				return errors.New("the job runs after the shutdown")
			}
			return nil
		})
	}
}

// A graceful shutdown. No job may run when it has returned.
func Example_shutdown() {
	fmt.Print(explore.Search{}.Run(shutdownModel((*server).enter)))
	fmt.Print("under one lock: ", explore.Search{}.Run(shutdownModel((*server).enterRight)))
	// Output:
	// 8 orders, 1 bad, the simplest:
	//    1  client: ask
	//    2  operator: shut down
	//    3  operator: unlocked
	//    4  client: it is open
	//    5  client: work
	// the job runs after the shutdown
	// replay 1.2.2.1.1
	// under one lock: 15 orders, 0 bad
}
