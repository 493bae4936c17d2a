package kthread

// A worklist is a list of works through their own links, so that adding one
// allocates nothing. A work is on one list at most. The pool's mu guards it.
type worklist struct {
	first, last *Work
}

// push adds k at the end.
func (l *worklist) push(k *Work) {
	k.prev = l.last
	if l.last == nil {
		l.first = k
	} else {
		l.last.next = k
	}
	l.last = k
}

// insert adds k where its number belongs.
func (l *worklist) insert(k *Work) {
	next := l.first
	for next != nil && next.number < k.number {
		next = next.next
	}
	if next == nil {
		l.push(k)
		return
	}
	k.next, k.prev = next, next.prev
	next.prev = k
	if k.prev == nil {
		l.first = k
	} else {
		k.prev.next = k
	}
}

// remove takes k off. It must be on this list.
func (l *worklist) remove(k *Work) {
	if k.prev == nil {
		l.first = k.next
	} else {
		k.prev.next = k.next
	}
	if k.next == nil {
		l.last = k.prev
	} else {
		k.next.prev = k.prev
	}
	k.next, k.prev = nil, nil
}
