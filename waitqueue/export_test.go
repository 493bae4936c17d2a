package waitqueue

// Entries returns the tasks on the queue, in the order of a walk.
func (q *Queue) Entries() []*Task {
	q.mu.Lock()
	defer q.mu.Unlock()
	var tasks []*Task
	for e := q.head; e != nil; e = e.next {
		tasks = append(tasks, e.Task)
	}
	return tasks
}

// Tokens returns the number of tokens.
func (c *Completion) Tokens() uint32 { return c.done.Load() }

// SetTokens sets it.
func (c *Completion) SetTokens(n uint32) { c.done.Store(n) }
