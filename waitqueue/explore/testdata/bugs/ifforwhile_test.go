package bugs

import (
	"testing"

	"github.com/kprim/kprim/waitqueue/explore"
)

func TestIfForWhile(t *testing.T) {
	model := func(get func(*Pool) string) func(*explore.Model) {
		return func(m *explore.Model) {
			p := NewPool()
			m.Release(p.returned.Broadcast)
			for _, name := range []string{"A", "B"} {
				m.Go(name, func(th *explore.Thread) {
					th.Step("get")
					conn := get(p)
					p.Put(conn)
				})
			}
			m.Go("C", func(th *explore.Thread) {
				th.Step("put")
				p.Put("conn 1")
			})
		}
	}
	requireBad(t, search(t, model((*Pool).Get)), 1524, 60, `
   1  A: get
   2  A: unlocked
   3  C: put
   4  C: unlocked
   5  B: get
   6  A: lock
   7  A: unlocked
A has panicked: runtime error: index out of range [-1], at ifforwhile.go:41
replay 1.1.3.3.2.1.1
`)
	requireGood(t, search(t, model((*Pool).GetMended)), 1736)
}
