package kthread_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// A store has tokens for takers.
type store struct {
	l    sync.Locker
	q    waitqueue.Queue
	free int // guarded by l
}

func (s *store) put(n int) {
	s.l.Lock()
	s.free += n
	s.l.Unlock()
	s.q.WakeUpN(n)
}

func (s *store) take() bool {
	if s.free == 0 {
		return false
	}
	s.free--
	return true
}

// A thread and a goroutine wait with a lock for one token, and the thread is asked to
// stop. The thread has the token if and only if its wait succeeds. If it stops without
// it, the token is for the other.
func TestInterleavingsWaitExclusiveLockedAndStop(t *testing.T) {
	orders.Explore(t, "begin, stop flag is set, awake", func(m *explore.Model) {
		m.Adopt("begin", "kthread")
		s := store{l: m.NewLock()}
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			s.l.Lock()
			defer s.l.Unlock()
			return cur.WaitExclusiveLocked(&s.q, s.l, s.take)
		})
		stopped, got := errors.New("no answer"), false
		m.Go("other", func(*explore.Thread) {
			s.l.Lock()
			defer s.l.Unlock()
			got = s.q.WaitExclusiveLocked(context.Background(), s.l, s.take) == nil
		})
		m.MaySleep("other") // if the thread got the token
		m.Go("putter", func(th *explore.Thread) {
			th.Step("put a token")
			s.put(1)
		})
		m.Go("stopper", func(th *explore.Thread) {
			th.Step("stop")
			stopped = thread.Stop()
		})
		m.Check(func() error {
			if s.free != 0 || got == (stopped == nil) || stopped != nil && !errors.Is(stopped, syscall.EINTR) {
				return fmt.Errorf("%d tokens free; stop: %w; the other has one: %t", s.free, stopped, got)
			}
			return nil
		})
		m.Release(func() { s.put(2) })
	})
}

// A reaper waits for a token with a timeout, and a stop comes, and a token, and the end of
// the time. The reaper fails if and only if the token is still there, and says the reason.
func TestInterleavingsWaitLockedTimeoutAndStop(t *testing.T) {
	orders.Explore(t, "begin, stop flag is set, awake", func(m *explore.Model) {
		m.Adopt("begin", "kthread")
		s := store{l: m.NewLock()}
		timeOver, asked := false, false
		var wrong error
		ran := false
		thread := kthread.Run("reaper", func(cur *kthread.Current) error {
			s.l.Lock()
			defer s.l.Unlock()
			ran = true
			err := cur.WaitLockedTimeout(&s.q, s.l, time.Hour, s.take)
			switch {
			case err == nil:
			case s.free != 0, err == kthread.ErrStopped && !asked, errors.Is(err, syscall.ETIMEDOUT) && !timeOver:
				wrong = fmt.Errorf("%d tokens free, error %w", s.free, err)
			}
			return err
		})
		stopped := errors.New("no answer")
		m.Go("putter", func(th *explore.Thread) {
			th.Step("put a token")
			s.put(1)
		})
		m.Event("deadline", func() {
			timeOver = true
			time.Sleep(2 * time.Hour)
		})
		m.Go("stopper", func(th *explore.Thread) {
			th.Step("stop")
			asked = true
			stopped = thread.Stop()
		})
		m.Check(func() error {
			if ran && (stopped == nil) != (s.free == 0) {
				return fmt.Errorf("%d tokens free; stop: %w", s.free, stopped)
			}
			return wrong
		})
	})
}
