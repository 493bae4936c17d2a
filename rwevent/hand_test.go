package rwevent_test

import (
	"sync"

	"github.com/kprim/kprim/internal/paired"
	"github.com/kprim/kprim/rwevent"
)

// handTable is a table as one writes it without this package: the latest value of each
// key, and the keys in their order. Nobody can wait for it.
type handTable struct {
	mu     sync.Mutex
	latest map[int]int
	order  []int
}

func (h *handTable) post(k, v int) {
	h.mu.Lock()
	if _, there := h.latest[k]; !there {
		h.order = append(h.order, k)
	}
	h.latest[k] = v
	h.mu.Unlock()
}

func (h *handTable) take() (k, v int, ok bool) {
	h.mu.Lock()
	if len(h.order) > 0 {
		k, ok = h.order[0], true
		h.order = h.order[1:]
		v = h.latest[k]
		delete(h.latest, k)
	}
	h.mu.Unlock()
	return k, v, ok
}

// postTake is a post and a take of one of so many keys. They are all posted and then all
// taken; or they stay there, while one after the other is taken and posted again.
func postTake(name string, keys int, stay bool) paired.Contest {
	hand := handTable{latest: map[int]int{}}
	var table rwevent.Table[int, int]
	return paired.Contest{Name: name, Ways: []paired.Way{
		{Name: "map+slice+Mutex", Run: turns(keys, stay, hand.post, func() { _, sink, _ = hand.take() })},
		{Name: "Table", Run: turns(keys, stay, func(k, v int) { _ = table.Post(k, v) }, func() { e, _ := table.TryTake(); sink = e.Value })},
	}}
}

// turns returns a function that posts and takes n times.
func turns(keys int, stay bool, post func(k, v int), take func()) func(n int) {
	if stay {
		for k := range keys - 1 {
			post(k, k)
		}
		next := keys - 1
		return func(n int) {
			for i := range n {
				post(next, i)
				take()
				if next++; next == keys {
					next = 0
				}
			}
		}
	}
	return func(n int) {
		for done := 0; done < n; done += keys {
			for k := range keys {
				post(k, k)
			}
			for range keys {
				take()
			}
		}
	}
}
