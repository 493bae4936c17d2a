package explore_test

import (
	"fmt"

	"github.com/kprim/kprim/waitqueue/explore"
)

// twoInits has two goroutines that initialize a thing if it is not there.
func twoInits(m *explore.Model) {
	there, inits := false, 0
	for _, name := range []string{"A", "B"} {
		m.Go(name, func(th *explore.Thread) {
			th.Step("look")
			if there {
				return
			}
			th.Step("initialize")
			there = true
			inits++
		})
	}
	m.Check(func() error {
		if inits != 1 {
			return fmt.Errorf("%d initializations", inits)
		}
		return nil
	})
}

// The Replay of an order runs it again, as long as the model has the same steps.
func ExampleSearch_Replay() {
	order, err := explore.Search{}.Replay("1.2.2.1", twoInits)
	fmt.Println("error:", err)
	fmt.Print(order)

	_, err = explore.Search{}.Replay("1.3", twoInits)
	fmt.Println(err)
	// Output:
	// error: <nil>
	//    1  A: look
	//    2  B: look
	//    3  B: initialize
	//    4  A: initialize
	// 2 initializations
	// replay 1.2.2.1
	// explore: number 3 cannot go on, only these can: 1 A: initialize, 2 B: look
}
