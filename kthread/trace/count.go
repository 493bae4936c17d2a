package trace

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// counts are the numbers of [Queues]. The tracer's mu guards them.
type counts struct {
	queues map[string]*QueueStat
}

// mostQueues is how many names of queues are told apart.
const mostQueues = 4096

// otherQueues is the name under which queues count that come when mostQueues names are there.
const otherQueues = "(others)"

// A QueueStat has the numbers of all queues with one name. Queues without a name count
// together, under the name "". When 4,096 names are there, the queues with further names
// count together, under the name "(others)".
//
// Neither JSON nor Prometheus has bytes that are not UTF-8. If a name has some, each group of
// them becomes one U+FFFD. Queues whose names become equal count together.
type QueueStat struct {
	Name     string        // of the queues
	Waiters  int           // that are in a wait now
	WakeUps  uint64        // that found a waiter; also by a timer, a signal or a stop
	Spurious uint64        // after which the condition of the waiter was still false
	Longest  time.Duration // the longest sleep; a sleep that is not over counts too, by the caller's clock
}

// A TaskStat has the numbers of a thread, or of a task with a name.
type TaskStat struct {
	Pid      int    // of the thread, or the number that a task has in traces
	Name     string // the whole name
	WakeUps  uint64 // as in ps, but from the start on: the first run of a thread is one
	Spurious uint64 // as in QueueStat
}

// StartCounting counts from now on. If it does so already, nothing changes.
//
// A thread that sleeps already is counted at once. Another waiter that sleeps already
// is counted from its next sleep on. WaitAny counts under the name of its first queue.
// A wake-up is spurious if the wait has to sleep again. Only a wait that tests a
// condition has spurious wake-ups here. In a loop that is written out, none is counted.
// The first run of a thread is no wake-up of a queue.
//
// A call outside of a bubble of testing/synctest counts nothing of the bubble.
func StartCounting() {
	the.mu.Lock()
	defer the.mu.Unlock()
	if the.counts != nil {
		return
	}
	the.change(func() { the.counts = &counts{queues: map[string]*QueueStat{}} })
	for _, l := range the.all() { // a recorder may have made them before
		l.wakeUps, l.spurious = 0, 0
	}
}

// StopCounting ends the counting, and drops the numbers.
func StopCounting() {
	the.mu.Lock()
	defer the.mu.Unlock()
	the.change(func() { the.counts = nil })
}

// queue returns the numbers for a name.
func (c *counts) queue(name string) *QueueStat {
	q := c.queues[name]
	if q == nil {
		name = strings.ToValidUTF8(name, "\uFFFD")
		q = c.queues[name]
	}
	if q == nil && len(c.queues) >= mostQueues {
		name = otherQueues
		q = c.queues[name]
	}
	if q == nil {
		q = &QueueStat{Name: name}
		c.queues[name] = q
	}
	return q
}

// A nil counts counts nothing.

func (c *counts) addWakeUp(queue string) {
	if c != nil {
		c.queue(queue).WakeUps++
	}
}

func (c *counts) addSpurious(queue string) {
	if c != nil {
		c.queue(queue).Spurious++
	}
}

func (c *counts) addSleep(queue string, slept int64) {
	if c != nil {
		q := c.queue(queue)
		q.Longest = max(q.Longest, time.Duration(slept))
	}
}

// Queues returns the numbers of the queues, in the order of their names. While nothing counts,
// it returns nil.
func Queues() []QueueStat {
	the.mu.Lock()
	defer the.mu.Unlock()
	if the.counts == nil {
		return nil
	}
	return the.queueStats()
}

// queueStats adds the waiters that are there now. The caller holds mu.
func (r *tracer) queueStats() []QueueStat {
	now := counts{queues: map[string]*QueueStat{}}
	for name, q := range r.counts.queues {
		copied := *q
		now.queues[name] = &copied
	}
	sameClock := isVirtual(time.Now()) == r.virtual
	for _, s := range r.sleeps {
		if !s.waits {
			continue
		}
		now.queue(s.queue).Waiters++
		if s.isAsleep() && sameClock {
			now.addSleep(s.queue, r.now()-s.began)
		}
	}
	stats := []QueueStat{}
	for _, q := range now.queues {
		stats = append(stats, *q)
	}
	slices.SortFunc(stats, func(a, b QueueStat) int { return cmp.Compare(a.Name, b.Name) })
	return stats
}

// Tasks returns the numbers of the threads and of the tasks with a name, in the order of their
// pids. While nothing counts, it returns nil.
func Tasks() []TaskStat {
	the.mu.Lock()
	defer the.mu.Unlock()
	if the.counts == nil {
		return nil
	}
	stats := []TaskStat{}
	for _, l := range the.all() {
		if l.name != "" || l.thread {
			stats = append(stats, TaskStat{l.pid, l.name, l.wakeUps, l.spurious})
		}
	}
	return stats
}
