// Package collected tells whether the garbage collector frees a value.
package collected

import (
	"runtime"
	"weak"
)

// Soon reports whether the collector frees the value of p. It runs the collector several
// times, because a value that others point to is freed after them.
func Soon[T any](p weak.Pointer[T]) bool {
	for range 100 {
		if p.Value() == nil {
			return true
		}
		runtime.GC()
	}
	return p.Value() == nil
}
