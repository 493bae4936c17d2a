package waitqueue

import (
	"fmt"
	"strconv"
	"strings"
)

// stateLetters are the letters of ps(1), in the order of the bits. I is before D,
// because it has the bit of D too.
var stateLetters = []struct {
	state  State
	letter string
}{{Interruptible, "S"}, {Idle, "I"}, {Uninterruptible, "D"}, {Parked, "P"}, {Dead, "X"}}

// String returns the letter that ps(1) shows for s: R, S, I, D, P or X. A mask of
// several states has their letters with "|" between them, and bits that are no
// state as a number, as in "S|D|0x4".
func (s State) String() string {
	if s == Running {
		return "R"
	}
	var parts []string
	for _, l := range stateLetters {
		if s&l.state == l.state {
			parts = append(parts, l.letter)
			s &^= l.state
		}
	}
	if s != 0 {
		parts = append(parts, fmt.Sprintf("%#x", uint32(s)))
	}
	return strings.Join(parts, "|")
}

// MarshalText returns the text of String, so that JSON and package slog show the
// letter too. It never fails.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText sets s to the state, or the mask, that has this text. If there is
// none, it returns an error and leaves s as it is.
func (s *State) UnmarshalText(text []byte) error {
	var read State
	for part := range strings.SplitSeq(string(text), "|") {
		bits, ok := parseState(part)
		if !ok {
			return fmt.Errorf("waitqueue: no state has the text %q", text)
		}
		read |= bits
	}
	*s = read
	return nil
}

func parseState(part string) (State, bool) {
	if part == "R" {
		return Running, true
	}
	for _, l := range stateLetters {
		if part == l.letter {
			return l.state, true
		}
	}
	digits, ok := strings.CutPrefix(part, "0x")
	bits, err := strconv.ParseUint(digits, 16, 32)
	return State(bits), ok && err == nil
}

// String returns the name of t, its state, and the result of Wchan, as in
// "Task(reader S pipe_wait)". It does not block, and any goroutine may call it.
func (t *Task) String() string {
	return words("Task", t.Name, t.State().String(), t.Wchan())
}

// String returns the Task or the Func of e, as in "Entry(Task(reader S))". It
// does not block, so a Func may print its entry.
func (e *Entry) String() string {
	switch {
	case e.Task != nil && e.Func != nil:
		return words("Entry", e.Task.String(), "Func")
	case e.Task != nil:
		return words("Entry", e.Task.String())
	case e.Func != nil:
		return words("Entry", "Func")
	}
	return words("Entry")
}

// String returns the name of q and its use, as in "Queue(pipe_wait waiters)". The
// use is "empty", "waiters", or "busy" while another goroutine has q locked. It
// does not block, and any goroutine may call it.
func (q *Queue) String() string { return words("Queue", q.Name, q.use()) }

func (q *Queue) use() string {
	if !q.occupied.Load() {
		return "empty"
	}
	if !q.mu.TryLock() {
		return "busy"
	}
	defer q.mu.Unlock()
	if q.head == nil {
		return "empty"
	}
	return "waiters"
}

// String returns the use of c, as [Queue.String] does: "Cond(waiters)".
func (c *Cond) String() string { return words("Cond", c.queue.use()) }

// String returns the number of tokens of c, or "all" after CompleteAll, and its
// use as [Queue.String] does: "Completion(2 empty)".
func (c *Completion) String() string {
	tokens := "all"
	if n := c.done.Load(); n != forever {
		tokens = fmt.Sprint(n)
	}
	return words("Completion", tokens, c.queue.use())
}

// words returns the texts that are not empty, as "Kind(one two)".
func words(kind string, texts ...string) string {
	var said []string
	for _, text := range texts {
		if text != "" {
			said = append(said, text)
		}
	}
	return kind + "(" + strings.Join(said, " ") + ")"
}
