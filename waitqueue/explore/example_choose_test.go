package explore_test

import (
	"fmt"

	"github.com/kprim/kprim/waitqueue/explore"
)

// A scheduler of your own chooses the goroutine with the highest number. It shows all that it
// sees before each step.
func ExampleSearch_Choose() {
	highest := func(threads []explore.Standing) (number int, err error) {
		fmt.Printf("%q\n", threads)
		for _, th := range threads {
			if th.Step != "" {
				number = th.Number
			}
		}
		return number, nil
	}
	order, err := explore.Search{}.Choose(highest, withdrawals)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Print(order)
	// Output:
	// ["Ann: look" "Bob: look"]
	// ["Ann: look" "Bob: take 100"]
	// ["Ann: look" "Bob: at its end"]
	//    1  Bob: look
	//    2  Bob: take 100
	//    3  Ann: look
	// replay 2.2.1
}
