package explore_test

import (
	"fmt"

	"github.com/kprim/kprim/waitqueue/explore"
)

// threeTimesThree has three goroutines of three steps, which never wait.
func threeTimesThree(m *explore.Model) {
	for _, name := range []string{"A", "B", "C"} {
		m.Go(name, func(th *explore.Thread) {
			for range 3 {
				th.Step("step")
			}
		})
	}
}

// A bound on preemptions makes a large search small. The result says that there is more.
func ExampleSearch_preemptions() {
	for _, bound := range []int{1, 2, 3} {
		fmt.Print("bound ", bound, ": ", explore.Search{Preemptions: bound}.Run(threeTimesThree))
	}
	fmt.Print("no bound: ", explore.Search{}.Run(threeTimesThree))
	// Output:
	// bound 1: 42 orders, 0 bad, 102 choices left out
	// bound 2: 192 orders, 0 bad, 240 choices left out
	// bound 3: 552 orders, 0 bad, 354 choices left out
	// no bound: 1680 orders, 0 bad
}
