package main

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/examples/internal/pictures"
	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/waitqueue"
)

// A has seen that there is no token. Then B queues behind it, and a wake-up and a signal come
// for A.
func TestPicture(t *testing.T) {
	picture := func(wait waiter) func() (story, cleanup func()) {
		return func() (story, cleanup func()) {
			var token waitqueue.Completion
			token.WaitQueue().Name = "token"
			var a, b *orders.Thread
			take := func(name string, wait waiter, th **orders.Thread) (run func()) {
				return pictures.Thread(name, func() {
					if err := wait(&token, *th); err != nil {
						trace.Instant(fmt.Sprint("leaves: ", err))
					} else {
						trace.Instant("takes the token")
					}
				})
			}
			runA, runB := take("A", wait, &a), take("B", leave, &b)
			waker := pictures.Thread("waker", token.Complete)
			kill := pictures.Thread("kill", func() {
				a.Task.Interrupt()
				trace.Instant("kill -INT A")
			})
			window := func(*orders.Thread) {
				trace.Instant("sees no token")
				orders.Settle(orders.Go(func(own *orders.Thread) { b = own; runB() }, 0, nil))
				synctest.Wait() // B sleeps
				waker()
				kill()
			}
			story = func() {
				orders.Settle(orders.Go(func(own *orders.Thread) { a = own; runA() }, 2, window))
			}
			return story, func() { token.Complete(); orders.Settle(b) }
		}
	}
	pictures.Check(t,
		pictures.Form{Name: "broken", SetUp: picture(leave)},
		pictures.Form{Name: "right", SetUp: picture(retest)})
}
