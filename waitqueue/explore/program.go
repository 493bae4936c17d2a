package explore

import (
	"bytes"
	"iter"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// lookAtProgram returns the goroutines of the program before an order. host, which chooses in
// it, is not one of them.
//
// Optimization: if their number is the one before the last order they are the same.
//
// The goroutines of the last order may not be gone yet. If one of them counts here and ends
// later, the number stays the same when the model starts another goroutine.
func (e *explorer) lookAtProgram(host int64) map[int64]string {
	const enough = 100
	for range enough {
		if runtime.NumGoroutine() == len(e.seen)+1 {
			return e.seen
		}
		runtime.Gosched()
	}
	for tries, moving := 0, true; moving && tries < enough; tries++ {
		runtime.Gosched()
		e.seen, moving = goroutines(), false
		delete(e.seen, host)
		for _, state := range e.seen {
			moving = moving || strings.HasPrefix(state, "run") // running or runnable
		}
	}
	return e.seen
}

// settleInProgram returns when every goroutine of the model, and every one that these
// have started, is stopped, blocked or gone.
func settleInProgram(m *Model) {
	m.settling.Store(true)
	defer m.settling.Store(false)
	for tries := 0; ; {
		switch {
		case !m.quiet(tries):
			tries++
			giveWay(tries)
		case m.wake():
			tries = 0
		default:
			return
		}
	}
}

// A step of an example takes a few microseconds. A goroutine that needs longer waits for
// a processor, or for the system, or it sleeps.
const soon = 100 // tries

// giveWay lets other goroutines run. Only a goroutine that waits leaves its processor
// idle. A goroutine that yields again and again would take it from other programs.
func giveWay(tries int) {
	if tries <= soon {
		runtime.Gosched()
		return
	}
	<-time.After(min(time.Duration(tries-soon)*20*time.Microsecond, time.Millisecond))
}

// quiet reports whether no goroutine can move.
//
// Optimization: it counts first, which is enough when each thread is at a point and no
// other goroutine was started. Only when that has failed some times it looks at the
// tracebacks, for which the runtime stops all goroutines.
func (m *Model) quiet(tries int) bool {
	moving, alive := 0, 1 // the goroutine that chooses
	for _, th := range m.all() {
		if th.event != nil || th.done.Load() {
			continue
		}
		alive++
		if th.at.Load() == nil {
			moving++
		}
	}
	if moving == 0 && runtime.NumGoroutine() == len(m.before)+alive {
		return true
	}
	return tries >= soon && m.blocked()
}

// blocked reports whether each goroutine that was started since the order began is
// stopped, blocked or gone. The tracebacks are of one moment, and a goroutine that was
// woken is no longer blocked in them. A thread that is done has to be gone, or the next
// order could take its goroutine for one of the program.
func (m *Model) blocked() bool {
	for id, state := range goroutines() {
		if _, before := m.before[id]; !before && id != m.host && !isBlocked(state) {
			return false
		}
	}
	for _, th := range m.all() {
		th.done.Load() // for the race detector: the thread's steps have come before
	}
	return true
}

// goroutines returns the state of each goroutine, by its number, in the words of a traceback.
func goroutines() map[int64]string {
	states := map[int64]string{}
	for text := range tracebacks() {
		id, state := header(text)
		states[id] = state
	}
	return states
}

// tracebacks returns the traceback of each goroutine.
func tracebacks() iter.Seq[[]byte] {
	buf := make([]byte, 1<<14)
	n := runtime.Stack(buf, true)
	for n == len(buf) {
		buf = make([]byte, 4*len(buf))
		n = runtime.Stack(buf, true)
	}
	return bytes.SplitSeq(buf[:n], []byte("\n\n"))
}

// header takes the first line of a traceback apart: goroutine 7 [chan receive, 5 minutes]:
func header(text []byte) (id int64, state string) {
	head, _, _ := bytes.Cut(text, []byte("]:"))
	number, rest, _ := bytes.Cut(bytes.TrimPrefix(head, []byte("goroutine ")), []byte(" ["))
	id, _ = strconv.ParseInt(string(number), 10, 64)
	return id, string(rest)
}

// isBlocked reports whether a goroutine in this state goes on only if another one
// makes it. A goroutine that waits for a mutex is blocked: if the holder could move, it would be
// running.
// "semacquire" is not on the list: in this state a goroutine waits for the end of the
// tracebacks, to begin a garbage collection.
func isBlocked(state string) bool {
	for _, prefix := range []string{"chan ", "select", "sync.", "coroutine"} {
		if strings.HasPrefix(state, prefix) {
			return true
		}
	}
	return false
}
