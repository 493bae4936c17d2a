package explore_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing/iotest"

	"github.com/kprim/kprim/waitqueue/explore"
)

// withdrawals has two customers of one account.
func withdrawals(m *explore.Model) {
	balance := 100
	for _, name := range []string{"Ann", "Bob"} {
		m.Go(name, func(th *explore.Thread) {
			th.Step("look")
			if balance >= 100 {
				th.Step("take 100")
				balance -= 100
			}
		})
	}
	m.Check(func() error {
		if balance < 0 {
			return fmt.Errorf("the balance is %d", balance)
		}
		return nil
	})
}

// A human makes the steps, and tries to break the program.
func ExampleSearch_Play() {
	fmt.Println("There are 100 in the account. Take more.")
	typed := strings.NewReader("1\n2\n1\n2\n")
	in := io.TeeReader(iotest.OneByteReader(typed), os.Stdout) // as on a terminal
	order, err := explore.Search{}.Play(in, os.Stdout, withdrawals)
	switch {
	case err != nil:
		fmt.Println(err)
	case order.Fault != "":
		fmt.Println("You win:", order.Fault)
	default:
		fmt.Println("You lose.")
	}
	// Output:
	// There are 100 in the account. Take more.
	//    1  Ann: look
	//    2  Bob: look
	// Which goes on? 1
	//    1  Ann: take 100
	//    2  Bob: look
	// Which goes on? 2
	//    1  Ann: take 100
	//    2  Bob: take 100
	// Which goes on? 1
	//    2  Bob: take 100
	// Which goes on? 2
	// You win: the balance is -100
}
