package main

import (
	"strings"
	"testing"

	"github.com/kprim/kprim/examples/internal/pictures"
	"github.com/kprim/kprim/kthread/trace"
)

// The thread of the first form never does its up. The second form has the same thread.
func TestPicture(t *testing.T) {
	thread := func(func()) error {
		trace.Instant("the set-up fails")
		return fails(nil)
	}
	pictures.Check(t,
		pictures.Form{Name: "broken", SetUp: func() (story, cleanup func()) {
			var k kthreadT
			k.sem.Name = "startstop_sem"
			insmod := pictures.Thread("insmod", func() {
				k.cpu.Lock()
				defer k.cpu.Unlock()
				k.start(thread)
			})
			cleanup = func() {
				k.cpu.Lock()
				defer k.cpu.Unlock()
				k.up(false)
			}
			return func() { go insmod() }, cleanup
		}},
		pictures.Form{Name: "right", SetUp: func() (story, cleanup func()) {
			return pictures.Thread("insmod", func() { trace.Instant(strings.TrimSpace(right("kthread.Start", thread))) }), nil
		}})
}
