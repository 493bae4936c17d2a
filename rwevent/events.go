package rwevent

import (
	"slices"
	"sort"
)

// The events of a table, in the order of the turns and in the order of the posts.
//
// Optimization: nodes refer to each other by numbers. So a post and a take of a new key
// make three accesses to the map in all. Neither the map nor the posts hold a pointer that
// the garbage collector would follow.
type events[K comparable, T any] struct {
	index map[K]int    // the node of each key that has an event
	nodes []node[K, T] // the first is the head of the turns, which form a ring
	free  int          // the first node without an event, or 0
	posts line         // in order; the stale ones between them have no event
}

// A node has an event, with its neighbours in the turns. Without an event it is zero,
// except for next, which is the next such node.
type node[K comparable, T any] struct {
	Event[K, T]
	next, prev int
}

func (e *events[K, T]) len() int { return len(e.index) }

// put stores an event, and reports whether it has replaced another one of its key, whose
// turn it has then.
func (e *events[K, T]) put(k K, v T, gen uint64) (replaced bool) {
	i, there := e.index[k]
	if !there {
		i = e.add(k)
	}
	n := &e.nodes[i]
	n.Value, n.Gen = v, gen
	e.posts.push(post{gen, i})
	e.tidy()
	return there
}

// add gives k a node at the end of the turns.
func (e *events[K, T]) add(k K) int {
	if e.index == nil {
		e.index, e.nodes = make(map[K]int), make([]node[K, T], 1, 4)
	}
	i := e.free
	if i == 0 {
		i = len(e.nodes)
		e.nodes = append(e.nodes, node[K, T]{})
	}
	n, head := &e.nodes[i], &e.nodes[0]
	e.free = n.next
	n.Key, n.next, n.prev = k, 0, head.prev
	e.nodes[head.prev].next, head.prev = i, i
	e.index[k] = i
	return i
}

// first returns the node whose turn it is. There must be one.
func (e *events[K, T]) first() int { return e.nodes[0].next }

// remove takes the event out of a node.
func (e *events[K, T]) remove(i int) (event Event[K, T]) {
	n := &e.nodes[i]
	event, n.Event = n.Event, event // the node holds nothing back from the garbage collector
	delete(e.index, event.Key)
	e.nodes[n.prev].next, e.nodes[n.next].prev = n.next, n.prev
	n.next, e.free = e.free, i
	e.tidy()
	return event
}

// newer returns the posts later than after. The first may be stale.
func (e *events[K, T]) newer(after uint64) []post {
	posts := e.posts.rest()
	return posts[sort.Search(len(posts), func(i int) bool { return posts[i].gen > after }):]
}

// oldest returns the node of the oldest event of a later generation than after, or 0. It
// passes over the posts of events that were replaced. The later event has a post of its own,
// behind them.
func (e *events[K, T]) oldest(after uint64) int {
	for _, p := range e.newer(after) {
		if !e.stale(p) {
			return p.node
		}
	}
	return 0
}

// tidy drops stale posts. At the front it does so at once, so that the oldest
// event is found without a search. Elsewhere it waits until there are more stale
// posts than others: the posts and takes that made them stale then pay for going
// through all.
func (e *events[K, T]) tidy() {
	for e.posts.len() > 0 && e.stale(e.posts.rest()[0]) {
		e.posts.gone++
	}
	if e.posts.len() > 2*e.len() {
		e.posts.delete(e.stale)
	}
}

// stale reports whether the event of p was taken or replaced. No generation comes twice, so
// another event in the node has another one.
func (e *events[K, T]) stale(p post) bool { return e.nodes[p.node].Gen != p.gen }

// A post says that the event of a generation is, or was, in a node.
type post struct {
	gen  uint64
	node int
}

// A line is a queue of posts in a slice.
type line struct {
	all  []post
	gone int // so many of the first have left
}

func (l *line) rest() []post { return l.all[l.gone:] }
func (l *line) len() int     { return len(l.all) - l.gone }

// push appends p. If more posts have left than are there, it moves the rest to the
// front first. So a move of n posts comes after more than n posts have left.
func (l *line) push(p post) {
	if l.gone > l.len() {
		l.all, l.gone = l.all[:copy(l.all, l.rest())], 0
	}
	l.all = append(l.all, p)
}

// delete removes the posts for which gone is true.
func (l *line) delete(gone func(post) bool) {
	l.all = l.all[:l.gone+len(slices.DeleteFunc(l.rest(), gone))]
}
