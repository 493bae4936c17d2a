package main

import (
	"syscall"
	"testing"

	"github.com/kprim/kprim/examples/internal/pictures"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/trace"
)

// A thread sleeps for a second in each of four rounds. A signal comes before the first.
func TestPicture(t *testing.T) {
	picture := func(sleep func(*kthread.Current) bool) func() (story, cleanup func()) {
		return func() (story, cleanup func()) {
			killed := make(chan bool)
			l := &loop{allow: []syscall.Signal{syscall.SIGTERM}, rounds: 4}
			l.sleep = func(cur *kthread.Current) bool {
				<-killed
				whole := sleep(cur)
				if whole {
					trace.Instant("woke up after a second")
				} else {
					trace.Instant("woke up at once")
				}
				return whole
			}
			thread := kthread.Run("example", l.thread)
			kill := pictures.Thread("kill", func() {
				if err := thread.Signal(syscall.SIGTERM); err != nil {
					t.Error(err)
				}
			})
			return func() { kill(); close(killed); <-thread.Done() }, nil
		}
	}
	pictures.Check(t,
		pictures.Form{Name: "broken", SetUp: picture(broken)},
		pictures.Form{Name: "right", SetUp: picture(right)})
}
