package trace

// Sleeps returns how many sleeps the tracer has a record of.
func Sleeps() int {
	the.mu.Lock()
	defer the.mu.Unlock()
	return len(the.sleeps)
}
