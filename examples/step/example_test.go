package step_test

import (
	"fmt"
	"os"

	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/waitqueue/explore"
)

// dinner has two philosophers and two forks. Each takes the fork on the left first. It needs
// no check: a thread that sleeps at the end of an order is a bug already.
func dinner(m *explore.Model) {
	taken := make([]bool, 2)
	take := func(th *explore.Thread, fork int) {
		th.Step(fmt.Sprint("take fork ", fork))
		th.Sleep(func() bool { return !taken[fork] })
		taken[fork] = true
	}
	for i, name := range []string{"Plato", "Kant"} {
		left, right := i, (i+1)%2
		m.Go(name, func(th *explore.Thread) {
			take(th, left)
			take(th, right)
			th.Step("eat, and put both forks back")
			taken[left], taken[right] = false, false
		})
	}
}

// The flag -show plays the simplest order that wins. With -step a player types the numbers.
func ExamplePlay() {
	game := step.Game{Aim: "leave both hungry for ever", Model: dinner}
	args := []string{"-show"} // in a program: os.Args[1:]
	played, err := step.Play(args, os.Stdin, os.Stdout, game)
	if err != nil {
		fmt.Fprintln(os.Stderr, "dinner:", err)
	}
	fmt.Println(played, step.Status(err))
	// Output:
	// Your aim: leave both hungry for ever.
	// 4 of 8 orders win.
	//
	// step 1
	//   1  Plato: take fork 0
	//   2  Kant: take fork 1
	// Which goes on? 1
	// step 2
	//   1  Plato: take fork 1
	//   2  Kant: take fork 1
	// Which goes on? 2
	// step 3
	//   1  Plato: take fork 1
	//   2  Kant: take fork 0
	// Which goes on? 2
	// step 4
	//   1  Plato: take fork 1
	//   -  Kant: asleep
	// Which goes on? 1
	//
	// This order wins: asleep: Plato, Kant
	// replay 1.2.2.1
	// true 0
}
