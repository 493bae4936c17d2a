package step

import (
	"fmt"
	"maps"
	"slices"

	"github.com/kprim/kprim/waitqueue/explore"
)

// A node stands for all orders that have the same first steps.
type node struct {
	orders, wins int
	next         map[int]*node // by the number of the thread that makes the next step
}

// add notes an order of the search in the node of each of its beginnings.
func (n *node) add(o explore.Order) {
	n.count(o)
	for _, number := range o.Numbers {
		if n.next[number] == nil {
			n.next[number] = &node{next: map[int]*node{}}
		}
		n = n.next[number]
		n.count(o)
	}
}

func (n *node) count(o explore.Order) {
	n.orders++
	if o.Fault != "" {
		n.wins++
	}
}

// numbers are of the threads that can go on.
func (n *node) numbers() []int { return slices.Sorted(maps.Keys(n.next)) }

// String says how many orders win.
func (n *node) String() string {
	text := fmt.Sprintf("%d of %d orders", n.wins, n.orders)
	if n.orders == 1 {
		text = fmt.Sprintf("%d of 1 order", n.wins)
	}
	if n.orders == 1 || n.wins == 1 {
		return text + " wins"
	}
	return text + " win"
}
