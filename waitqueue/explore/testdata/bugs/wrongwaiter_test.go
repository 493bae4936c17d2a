package bugs

import (
	"testing"

	"github.com/kprim/kprim/waitqueue/explore"
)

func TestSignalToTheWrongWaiter(t *testing.T) {
	model := func(newSlot func() *Slot) func(*explore.Model) {
		return func(m *explore.Model) {
			s := newSlot()
			m.Release(s.changed.Broadcast)
			m.Before(func() { // both sleep
				for _, name := range []string{"getter A", "getter B"} {
					m.Go(name, func(*explore.Thread) { s.Get() })
				}
			})
			for _, name := range []string{"putter C", "putter D"} {
				m.Go(name, func(th *explore.Thread) {
					th.Step("put")
					s.Put(name)
				})
			}
		}
	}
	requireBad(t, search(t, model(NewSlot)), 1086, 210, `
   1  putter C: put
   2  putter C: unlocked
   3  putter D: put
   4  putter D: unlocked
   5  getter A: lock
   6  getter A: unlocked
   7  getter B: lock
   8  getter B: unlocked
asleep: getter B, putter D
replay 3.3.4.4.1.1.2.2
`)
	requireGood(t, search(t, model(NewSlotMended)), 5904)
}
