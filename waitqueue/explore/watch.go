package explore

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// patience is how long a goroutine may take to come to its next point.
var patience = 20 * time.Second

// moved notes that goroutines of the model are let go.
func (e *explorer) moved() {
	e.moves.Add(1)
	e.running.Store(true)
}

// watch ends the program, and lists its goroutines, if one of the model neither
// comes to its next point nor sleeps. Without it the test would hang until its timeout,
// because nothing else in a bubble goes on. It has a goroutine outside of the bubble,
// where the clock is the real one.
func (e *explorer) watch() (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(patience / 10)
		defer tick.Stop()
		for seen, since := e.moves.Load(), time.Now(); ; {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			switch now := e.moves.Load(); {
			case now != seen || !e.running.Load():
				seen, since = now, time.Now()
			case time.Since(since) > patience:
				panic(e.stuck())
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// stuck lists the goroutines.
func (e *explorer) stuck() string {
	m := now.Load()
	if _, state := trace(m.host, hostMark); isBlocked(state) && !m.settling.Load() {
		return fmt.Sprintf("explore: %s has slept for %v [%s]", *m.doing.Load(), patience, state)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "explore: after %v a goroutine of the model has not come to its next point, and does not sleep."+
		" Does it wait for a sync.Mutex that a stopped goroutine holds? That must be a Lock."+
		" Or for a channel from outside of the model, as t.Context has? Use Model.Context. The goroutines:\n", patience)
	for _, th := range m.all() {
		s := th.at.Load()
		switch {
		case th.done.Load():
			fmt.Fprintf(&text, "  %s has ended\n", th.name)
		case s != nil:
			fmt.Fprintf(&text, "  %s is stopped at %q\n", th.name, s.point)
		default:
			id, state := trace(th.id.Load(), hostMark+th.number)
			fmt.Fprintf(&text, "  %s, goroutine %d [%s]\n", th.name, id, state)
		}
	}
	return text.String()
}

// trace returns a goroutine by its number. If that is 0 it returns the goroutine that has
// the number onStack. Of several it returns the newest, because a bad order may have left others
// behind.
func trace(id int64, onStack int) (found int64, state string) {
	for text := range tracebacks() {
		other, doing := header(text)
		marks := bytes.Count(text, []byte("explore.marked(")) - 1
		if other == id || id == 0 && marks == onStack && other > found {
			found, state = other, doing
		}
	}
	return found, state
}
