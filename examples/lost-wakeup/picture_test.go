package main

import (
	"fmt"
	"testing"

	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/examples/internal/pictures"
	"github.com/kprim/kprim/kthread/trace"
)

// The waker comes in the window: the waiter has seen that the condition is false.
func TestPicture(t *testing.T) {
	picture := func(loop func(*event, *orders.Thread), steps int) func() (story, cleanup func()) {
		return func() (story, cleanup func()) {
			var e event
			e.queue.Name = "WaitQ"
			var th *orders.Thread
			waiter := pictures.Thread("waiter", func() {
				loop(&e, th)
				trace.Instant("goes on")
			})
			waker := pictures.Thread("waker", func() {
				e.waker(th)
				trace.Instant(fmt.Sprintf("the condition is true, wake_up woke %d", e.woke))
			})
			window := func(*orders.Thread) {
				trace.Instant("the condition is false")
				waker()
			}
			story = func() {
				orders.Settle(orders.Go(func(own *orders.Thread) { th = own; waiter() }, steps, window))
			}
			return story, func() { e.queue.WakeUp(); orders.Settle(th) }
		}
	}
	pictures.Check(t,
		pictures.Form{Name: "broken", SetUp: picture(sleepOn, 1)},
		pictures.Form{Name: "right", SetUp: picture(prepare, 2)})
}
