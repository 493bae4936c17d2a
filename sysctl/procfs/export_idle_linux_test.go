//go:build !(386 || arm || mips || mipsle)

package procfs

// MaxIdle is how many goroutines wait for the next request.
const MaxIdle = maxIdle

// Idle counts the goroutines that wait for the next request, for a test.
type Idle struct{ conn conn }

func (i *Idle) MayWait() bool { return i.conn.mayWait() }
func (i *Idle) Begin()        { i.conn.idle.Add(-1) }
func (i *Idle) Count() int    { return int(i.conn.idle.Load()) }
