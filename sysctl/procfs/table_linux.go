//go:build !(386 || arm || mips || mipsle)

package procfs

import (
	"maps"
	"slices"
	"sync"
)

// A table gives a number to each open file. The kernel names the file by this number.
type table[T any] struct {
	mu   sync.Mutex
	open map[uint64]T
	last uint64
}

func (t *table[T]) add(v T) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = map[uint64]T{}
	}
	t.last++
	t.open[t.last] = v
	return t.last
}

func (t *table[T]) get(id uint64) T {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open[id]
}

func (t *table[T]) remove(id uint64) T {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := t.open[id]
	delete(t.open, id)
	return v
}

func (t *table[T]) all() []T {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Values(t.open))
}
