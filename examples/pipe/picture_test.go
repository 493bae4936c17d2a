package main

import (
	"sync"
	"testing"

	"github.com/kprim/kprim/examples/internal/pictures"
)

// Two readers sleep, and then a writer brings a byte for each. The pipe has room for one
// byte.
func TestPicture(t *testing.T) {
	picture := func(queues func(*pipe)) func() (story, cleanup func()) {
		return func() (story, cleanup func()) {
			sh := &shell{out: pictures.Marks}
			r, w := newPipe(new(sync.Mutex), 1, 1)
			queues(r.pipe)
			story = pictures.Thread("shell", func() {
				sh.cpu.Lock()
				defer sh.cpu.Unlock()
				sh.start("reader A", func(pr *process) { pr.read(r, 1) })
				sh.start("reader B", func(pr *process) { pr.read(r, 1) })
				sh.start("writer", func(pr *process) { pr.write(w, "xy") })
			})
			return story, func() {
				sh.cpu.Lock()
				defer sh.cpu.Unlock()
				w.close()
				r.close()
			}
		}
	}
	pictures.Check(t,
		pictures.Form{Name: "broken", SetUp: picture(oneQueue)},
		pictures.Form{Name: "right", SetUp: picture(twoQueues)})
}
