package bugs

import (
	"context"
	"testing"

	"github.com/kprim/kprim/waitqueue/explore"
)

func TestSemaphoreThatACancelledWaiterSwallows(t *testing.T) {
	model := func(acquire func(*Semaphore, context.Context) error) func(*explore.Model) {
		return func(m *explore.Model) {
			s := &Semaphore{} // its token is out
			ctx, cancel := context.WithCancel(m.Context())
			m.Go("A", func(th *explore.Thread) {
				th.Step("acquire")
				if acquire(s, ctx) == nil {
					s.Release()
				}
			})
			m.Go("B", func(th *explore.Thread) {
				th.Step("acquire")
				if acquire(s, m.Context()) == nil {
					s.Release()
				}
			})
			m.Event("cancel A", cancel)
			m.Event("release", s.Release)
		}
	}
	requireBad(t, search(t, model((*Semaphore).Acquire)), 36, 7, `
   1  A: acquire
   2  B: acquire
   3  cancel A
   4  release
   5  A: gives up
asleep: B
replay 1.2.3.4.1
`)
	requireGood(t, search(t, model((*Semaphore).AcquireMended)), 36)
}
