package main

import (
	"syscall"
	"testing"

	"github.com/kprim/kprim/examples/internal/pictures"
	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/waitqueue"
)

// A has the file open. The other threads wait for it, and Ctrl-C comes for each.
func TestPicture(t *testing.T) {
	picture := func(start func(*file) []*kthread.Thread) func() (story, cleanup func()) {
		return func() (story, cleanup func()) {
			f := &file{out: pictures.Marks, waitQ: waitqueue.Queue{Name: "WaitQ"}}
			return pictures.Thread("A", func() {
				f.cpu.Lock()
				defer f.cpu.Unlock()
				f.openers = 1
				for _, thread := range start(f) {
					if err := thread.Signal(syscall.SIGINT); err != nil {
						t.Error(err)
					}
					onecpu.Settle() // it waits for the CPU, if the signal has woken it
					f.cpu.Yield()
				}
				trace.Instant("the file is closed")
				f.close(f.openers)
			}), nil
		}
	}
	pictures.Check(t,
		pictures.Form{Name: "broken", SetUp: picture(func(f *file) []*kthread.Thread {
			return []*kthread.Thread{
				f.cpu.Start("deaf", f.open(f.sleepOn, true)),
				f.cpu.Start("careless", opens(f, f.open(f.waitEvent, false))),
			}
		})},
		pictures.Form{Name: "right", SetUp: picture(func(f *file) []*kthread.Thread {
			return []*kthread.Thread{f.cpu.Start("careful", f.open(f.waitEvent, true))}
		})})
}

// opens marks the end of a wait.
func opens(f *file, open func(*kthread.Current) error) func(*kthread.Current) error {
	return func(cur *kthread.Current) error {
		err := open(cur)
		if f.openers > 1 {
			trace.Instant("opens the file, which A has open")
		}
		return err
	}
}
