package counter

import (
	"fmt"
	"testing"

	"github.com/kprim/kprim/waitqueue/explore"
)

func TestOrders(t *testing.T) {
	t.Run("two", func(t *testing.T) { adders(t, 2) })
	t.Run("three", func(t *testing.T) { adders(t, 3) })
}

func adders(t *testing.T, n int) {
	explore.Test(t, func(m *explore.Model) {
		var c Counter
		for i := range n {
			m.Go(fmt.Sprint(i), func(*explore.Thread) { c.Add(m.At) })
		}
		m.Check(func() error {
			if c.N() != n {
				return fmt.Errorf("%d, and not %d", c.N(), n)
			}
			return nil
		})
	})
}

func TestPlain(t *testing.T) {
	var c Counter
	c.Add(func(string) {})
	if c.N() != 1 {
		t.Fatal("it does not count")
	}
}
