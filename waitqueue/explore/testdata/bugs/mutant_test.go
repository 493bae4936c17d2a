package bugs

import (
	"testing"

	"github.com/kprim/kprim/waitqueue/explore"
	"github.com/kprim/kprim/waitqueue/explore/mutation"
)

func TestMailbox(t *testing.T) {
	defer func(before func(string)) { at = before }(at)
	explore.Test(t, func(m *explore.Model) {
		at = m.At
		b := NewMailboxMended()
		m.Go("reader", func(*explore.Thread) { b.Read() })
		m.Go("poster", func(th *explore.Thread) {
			th.Step("post")
			b.Post("hello")
		})
	})
}

func TestMutants(t *testing.T) {
	mutation.Test(t, mutation.Change{
		Name: "no room for a wake-up", Test: "TestMailbox",
		File: "lostwakeup.go", Old: "make(chan struct{}, 1)", New: "make(chan struct{})",
	})
}
