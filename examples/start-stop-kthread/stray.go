package main

import (
	"cmp"
	"context"
	"syscall"
	"time"

	"github.com/kprim/kprim/kthread"
)

// A strayLoop is example_thread with a list in place of the print, and an end:
// a loop that runs wild should not do so for ever.
type strayLoop struct {
	flush  bool
	most   int
	wokeUp []time.Time // needs no lock: read when the thread is gone
}

func (l *strayLoop) run(cur *kthread.Current) error {
	if err := cur.Allow(syscall.SIGTERM); err != nil {
		return err
	}
	cur.Ready()
	for len(l.wokeUp) < l.most {
		_ = cur.Sleep(time.Second)
		if cur.ShouldStop() {
			return nil
		}
		// A signal stays pending until somebody takes it, and no sleep lasts
		// while one is pending.
		if l.flush {
			cur.Flush()
		}
		l.wokeUp = append(l.wokeUp, time.Now())
	}
	return nil
}

// wakeUps sends the loop one SIGTERM, waits for its end, and returns how long
// after the signal each of its wake-ups came.
func (l *strayLoop) wakeUps() (after []time.Duration, err error) {
	thread, err := kthread.Start(context.Background(), "stray", l.run)
	if err != nil {
		return nil, err
	}
	sent := time.Now()
	err = cmp.Or(thread.Signal(syscall.SIGTERM), thread.Wait(context.Background()))
	for _, t := range l.wokeUp {
		after = append(after, t.Sub(sent).Round(time.Second))
	}
	return after, err
}

// stray shows the original's loop, and the one that flushes, after a SIGTERM
// that nobody meant.
func (m *module) stray() error {
	m.console.Print("# insmod stray.o flush=0; killall -TERM stray")
	storm, err := (&strayLoop{most: 1000}).wakeUps()
	if err != nil {
		return err
	}
	m.console.Printf("%d wake-ups in %v", len(storm), storm[len(storm)-1])

	m.console.Print("# insmod stray.o flush=1; killall -TERM stray")
	calm, err := (&strayLoop{flush: true, most: 2}).wakeUps()
	if err != nil {
		return err
	}
	m.console.Printf("a wake-up after %v, the next after %v", calm[0], calm[1])
	return nil
}
