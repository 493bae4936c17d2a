// Package bugs has five classic faults of concurrent code, each beside its mended form.
// It is a module of its own and uses only the standard library. Its tests let package
// explore find the faults.
package bugs

import "sync"

// at is called where a test may stop a goroutine. It does nothing in production.
var at = func(point string) {}

// newLock makes the locks that are held at a point, or that belong to a sync.Cond. A test
// makes the explorer's.
var newLock = func() sync.Locker { return new(sync.Mutex) }
