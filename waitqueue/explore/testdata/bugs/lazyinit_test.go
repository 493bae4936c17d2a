package bugs

import (
	"fmt"
	"testing"

	"github.com/kprim/kprim/waitqueue/explore"
)

func TestCheckThenActInALazyInit(t *testing.T) {
	model := func(get func(*Lazy) *Client) func(*explore.Model) {
		return func(m *explore.Model) {
			l := NewLazy()
			got := map[string]*Client{}
			for _, name := range []string{"A", "B"} {
				m.Go(name, func(th *explore.Thread) {
					th.Step("get")
					got[name] = get(l)
				})
			}
			m.Check(func() error {
				if got["A"] != got["B"] {
					return fmt.Errorf("A has client %d, and B has client %d", got["A"].number, got["B"].number)
				}
				return nil
			})
		}
	}
	requireBad(t, search(t, model((*Lazy).Get)), 44, 32, `
   1  A: get
   2  B: get
   3  B: unlocked
   4  B: dial
   5  B: unlocked
   6  A: unlocked
   7  A: dial
   8  A: unlocked
A has client 2, and B has client 1
replay 1.2x4.1.1.1
`)
	requireGood(t, search(t, model((*Lazy).GetMended)), 12)
}
