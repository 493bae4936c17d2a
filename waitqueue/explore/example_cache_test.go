package explore_test

import (
	"fmt"
	"sync"

	"github.com/kprim/kprim/waitqueue/explore"
)

// A cache loads its value once, if many goroutines want it at the same time.
type cache struct {
	load    func() int
	mu      sync.Mutex
	value   *int
	loading *call
}

// A call is a load that goes on.
type call struct {
	done  chan struct{}
	value int
}

func (c *cache) get() int {
	c.mu.Lock()
	if v := c.value; v != nil {
		c.mu.Unlock()
		return *v
	}
	if l := c.loading; l != nil {
		c.mu.Unlock()
		<-l.done
		return l.value
	}
	l := &call{done: make(chan struct{})}
	c.loading = l
	c.mu.Unlock()

	l.value = c.load()
	close(l.done)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loading == l {
		c.value, c.loading = &l.value, nil
	}
	return l.value
}

// forget drops the value. A load that goes on may bring the old one back.
func (c *cache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.value = nil
}

// forgetRight drops the load too.
func (c *cache) forgetRight() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.value, c.loading = nil, nil
}

// cacheModel has its points in the function that loads. The cache knows nothing of them.
func cacheModel(forget func(*cache)) func(*explore.Model) {
	return func(m *explore.Model) {
		stored := 1
		c := &cache{load: func() int {
			m.At("query")
			v := stored
			m.At("answer")
			return v
		}}
		for _, name := range []string{"reader A", "reader B"} {
			m.Go(name, func(th *explore.Thread) {
				th.Step("get")
				c.get()
			})
		}
		m.Event("change", func() {
			stored = 2
			forget(c)
		})
		m.Check(func() error {
			if got := c.get(); got != stored {
				return fmt.Errorf("the cache has %d for ever, and %d is stored", got, stored)
			}
			return nil
		})
	}
}

// A cache with a guard against a stampede. It knows nothing of the explorer: the points are
// in the function that loads.
func Example_cache() {
	fmt.Print(explore.Search{}.Run(cacheModel((*cache).forget)))
	fmt.Print("the load is dropped too: ", explore.Search{}.Run(cacheModel((*cache).forgetRight)))
	// Output:
	// 30 orders, 8 bad, the simplest:
	//    1  reader A: get
	//    2  reader A: query
	//    3  reader B: get
	//    4  change
	//    5  reader A: answer
	// the cache has 1 for ever, and 2 is stored
	// replay 1.1.2.3.1
	// the load is dropped too: 48 orders, 0 bad
}
