package explore_test

import (
	"fmt"

	"github.com/kprim/kprim/waitqueue/explore"
)

// twoCounters has two goroutines that count, each in two steps.
func twoCounters(m *explore.Model) {
	n := 0
	for _, name := range []string{"A", "B"} {
		m.Go(name, func(th *explore.Thread) {
			th.Step("read")
			seen := n
			th.Step("write")
			n = seen + 1
		})
	}
	m.Check(func() error {
		if n != 2 {
			return fmt.Errorf("n is %d", n)
		}
		return nil
	})
}

// A program searches with Run. A test does it with Test.
func Example() {
	fmt.Print(explore.Search{}.Run(twoCounters))
	// Output:
	// 6 orders, 4 bad, the simplest:
	//    1  A: read
	//    2  B: read
	//    3  B: write
	//    4  A: write
	// n is 1
	// replay 1.2.2.1
}
