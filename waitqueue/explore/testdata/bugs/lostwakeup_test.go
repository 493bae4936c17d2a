package bugs

import (
	"testing"

	"github.com/kprim/kprim/waitqueue/explore"
)

func TestLostWakeUp(t *testing.T) {
	model := func(newMailbox func() *Mailbox) func(*explore.Model) {
		return func(m *explore.Model) {
			b := newMailbox()
			m.Go("reader", func(th *explore.Thread) {
				th.Step("read")
				b.Read()
			})
			m.Go("poster", func(th *explore.Thread) {
				th.Step("post")
				b.Post("hello")
			})
		}
	}
	requireBad(t, search(t, model(NewMailbox)), 3, 1, `
   1  reader: read
   2  poster: post
   3  reader: found nothing
asleep: reader
replay 1.2.1
`)
	requireGood(t, search(t, model(NewMailboxMended)), 3)
}
