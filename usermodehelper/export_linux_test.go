package usermodehelper

import (
	"context"
	"os"
	"time"
)

const CrewLinger = crewLinger

// Polls reports whether a poller, and not a thread, waits for the child. Await
// waits until it has ended.
func Polls(child *os.Process) (polled bool, await func()) {
	e := watch(child)
	return e.pidfd != nil, func() { e.await(context.Background()) }
}

// ExpireCrew ends the threads that start helpers, if no helper runs.
func ExpireCrew() {
	crews.mu.Lock()
	c := crews.present
	crews.mu.Unlock()
	if c != nil {
		c.expire()
	}
}

// SetHang sets how long SIGKILL may take, and returns how to undo that.
func SetHang(d time.Duration) (undo func()) {
	before := hang
	hang = d
	return func() { hang = before }
}
