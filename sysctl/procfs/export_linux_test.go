//go:build !(386 || arm || mips || mipsle)

package procfs

import "fmt"

// Left counts the entries in the tables of a Server.
func Left(s *Server) string {
	f := s.files
	f.calls.mu.Lock()
	cancels := len(f.cancels)
	f.calls.mu.Unlock()
	return fmt.Sprintf("%d calls, %d contexts, %d files, %d directories, %d inodes",
		f.count.Load(), cancels, len(f.handles.all()), len(f.dirs.all()), Inodes(s))
}

// Inodes returns how many inodes the Server has, with the root.
func Inodes(s *Server) int {
	t := &s.files.inodes
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byID)
}

// Readers returns the rule by which goroutines wait for a request: mayWait counts one,
// leave takes one off, and waiting is the count.
func Readers() (mayWait func() bool, leave func(), waiting func() int) {
	c := &conn{}
	return c.mayWait, func() { c.idle.Add(-1) }, func() int { return int(c.idle.Load()) }
}

// MaxIdle is how many goroutines may wait for a request.
const MaxIdle = maxIdle
