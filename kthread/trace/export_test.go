package trace

// Sleeps returns how many sleeps the tracer has a record of.
func Sleeps() int {
	the.mu.Lock()
	defer the.mu.Unlock()
	return len(the.sleeps)
}

// AfterGoroutines goes on as if this many goroutines without a name had a lane already.
func AfterGoroutines(n int) {
	the.mu.Lock()
	defer the.mu.Unlock()
	the.lanes.others = n
}
