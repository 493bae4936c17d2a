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
