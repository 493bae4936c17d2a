package explore_test

import (
	"fmt"
	"sync"

	"github.com/kprim/kprim/waitqueue/explore"
)

// A buffer holds one item.
type buffer struct {
	mu       sync.Locker
	notEmpty *sync.Cond
	notFull  *sync.Cond
	items    []string
}

func newBuffer(mu sync.Locker) *buffer {
	return &buffer{mu: mu, notEmpty: sync.NewCond(mu), notFull: sync.NewCond(mu)}
}

func (b *buffer) put(item string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.items) == 1 {
		b.notFull.Wait()
	}
	b.items = append(b.items, item)
	b.notEmpty.Signal()
}

// get has an if where a for belongs.
func (b *buffer) get() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.items) == 0 {
		b.notEmpty.Wait()
	}
	return b.take()
}

// getRight tests again, because another goroutine may have the lock first.
func (b *buffer) getRight() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.items) == 0 {
		b.notEmpty.Wait()
	}
	return b.take()
}

func (b *buffer) take() string {
	item := b.items[0]
	b.items = b.items[1:]
	b.notFull.Signal()
	return item
}

// bufferModel has a getter that sleeps, another one, and an item for one of them. The lock is
// the explorer's: a goroutine may be stopped while it waits for that.
func bufferModel(get func(*buffer) string) func(*explore.Model) {
	return func(m *explore.Model) {
		b := newBuffer(m.NewLock())
		m.Release(b.notEmpty.Broadcast)
		m.MaySleep("getter A", "getter B")
		m.Before(func() { m.Go("getter A", func(*explore.Thread) { get(b) }) })
		m.Go("getter B", func(th *explore.Thread) {
			th.Step("get")
			get(b)
		})
		m.Go("putter", func(th *explore.Thread) {
			th.Step("put")
			b.put("x")
		})
		m.Check(func() error {
			if n := len(m.Asleep()); n != 1 {
				return fmt.Errorf("%d getters sleep", n)
			}
			return nil
		})
	}
}

// A bounded buffer with an if in place of a for.
func Example_boundedBuffer() {
	fmt.Print(explore.Search{}.Run(bufferModel((*buffer).get)))
	fmt.Print("with for: ", explore.Search{}.Run(bufferModel((*buffer).getRight)))
	// Output:
	// 44 orders, 14 bad, the simplest:
	//    1  putter: put
	//    2  putter: unlocked
	//    3  getter B: get
	//    4  getter B: unlocked
	//    5  getter A: lock
	//    6  getter A: unlocked
	// getter A has panicked: runtime error: index out of range [0] with length 0, at example_buffer_test.go:53
	// replay 3.3.2.2.1.1
	// with for: 45 orders, 0 bad
}
